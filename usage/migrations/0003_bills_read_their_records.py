"""What is on a bill since it was folded stands in its records, and nowhere else.

Before, whatever a statement added to its bills was appended for each: half of what a batch for many
customers cost the database beyond its records.
"""

from importlib import import_module

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.functions.comparison
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

before = import_module("usage.migrations.0002_bills_are_appended_to")

# The locks: 1970495847 is the gate, 1970495848 is held by who folds, and 8463215219768819712 and more
# are those of turns.

# Whoever writes now has ended when the table is locked, and nobody else folds.
FORGET_ADDITIONS = """
LOCK TABLE usage_record IN ACCESS EXCLUSIVE MODE;
SELECT pg_advisory_xact_lock(1970495848);
SELECT usage_fold();
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
DROP VIEW usage_bill, usage_billline;
DROP FUNCTION usage_fold, usage_fold_one, usage_added, usage_lines_added, usage_has_two_prices;
DROP TABLE usage_addition;
DROP FUNCTION usage_addition_follows_records;
"""

# Nobody's turn was 0: what is there by now is folded.
TAKE_TURNS = """
CREATE SEQUENCE usage_turn;
ALTER TABLE usage_record ADD turn bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_record ALTER turn SET DEFAULT
    nullif(current_setting('usage.turn', true), '')::bigint;
"""
TAKE_TURNS_NO_MORE = """
ALTER TABLE usage_record DROP turn;
DROP SEQUENCE usage_turn;
"""

READ_RECORDS = """
-- What all bills are folded to at least: one row.
CREATE TABLE usage_folded (
    is_all boolean PRIMARY KEY DEFAULT true CHECK (is_all),
    folded_to bigint NOT NULL,
    under_way bigint[] NOT NULL
);
INSERT INTO usage_folded VALUES (true, 0, '{}');

-- Up to which turn all have ended, but for those under way; nothing when one was being drawn all the
-- time. The number is read first: whoever draws a lower one is seen afterwards, by his locks.
CREATE FUNCTION usage_turns(OUT up_to bigint, OUT under_way bigint[]) LANGUAGE plpgsql AS $$
DECLARE is_drawn boolean;
BEGIN
    FOR tries IN 1..20 LOOP
        SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO up_to FROM usage_turn;
        WITH held AS (
            -- The gate has no number.
            SELECT virtualtransaction AS writer, pid, CASE WHEN classid > 0 THEN
                       (classid::bigint << 32 | objid::bigint) - 8463215219768819712
                   END AS turn
            FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (classid::bigint BETWEEN 1970495847 AND 2147483647
                   OR classid = 0 AND objid = 1970495847)
        ), writer AS (
            SELECT pid, array_agg(turn) FILTER (WHERE turn IS NOT NULL) AS turns
            FROM held GROUP BY writer, pid
        )
        SELECT bool_or(turns IS NULL), coalesce(array_agg(DISTINCT turn ORDER BY turn) FILTER (
                   WHERE turn <= up_to AND pid IS DISTINCT FROM pg_backend_pid()
               ), '{}')
        INTO is_drawn, under_way
        FROM writer LEFT JOIN LATERAL unnest(turns) turn ON true;
        IF is_drawn IS NOT TRUE THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.001);
    END LOOP;
    up_to = NULL;
END $$;

-- To be part of its caller's plan, and in two, that both may go by the index.
CREATE FUNCTION usage_unfolded(customer bigint, month date, folded bigint, awaited bigint[])
RETURNS TABLE (
    service varchar, price_per_unit numeric, units_consumed numeric, amount numeric, turn bigint
)
LANGUAGE sql STABLE AS $$
    SELECT service, price_per_unit, units_consumed, amount, turn FROM usage_record
    WHERE customer_id = customer AND period = month AND turn > folded
  UNION ALL
    SELECT service, price_per_unit, units_consumed, amount, turn FROM usage_record
    WHERE customer_id = customer AND period = month AND turn = ANY (awaited)
$$;

-- Stable, so that it sees what the statement sees that adds it to the folded total: both before
-- somebody folds, or both after.
CREATE FUNCTION usage_added(
    customer bigint, month date, folded bigint, awaited bigint[],
    OUT amount numeric, OUT records bigint
)
LANGUAGE plpgsql STABLE
SETTINGS
AS $$
BEGIN
    SELECT coalesce(sum(added.amount), 0), count(*) INTO amount, records
    FROM usage_unfolded(customer, month, folded, awaited) added;
END $$;

CREATE FUNCTION usage_lines_added(
    customer bigint, month date, folded bigint, awaited bigint[]
)
RETURNS TABLE (
    service varchar, price_per_unit numeric, units_consumed numeric, amount numeric, records bigint
)
LANGUAGE plpgsql STABLE ROWS 10
SETTINGS
AS $$
BEGIN
    RETURN QUERY
    SELECT added.service, added.price_per_unit, sum(added.units_consumed), sum(added.amount),
           count(*)
    FROM usage_unfolded(customer, month, folded, awaited) added
    GROUP BY added.service, added.price_per_unit;
END $$;

CREATE FUNCTION usage_has_two_prices(bill bigint) RETURNS boolean
LANGUAGE plpgsql STABLE
SETTINGS
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM (
            SELECT service, price_per_unit FROM usage_foldedline WHERE bill_id = bill
          UNION
            SELECT added.service, added.price_per_unit FROM usage_foldedbill, usage_unfolded(
                customer_id, period, folded_to, under_way
            ) added
            WHERE id = bill
        ) prices
        GROUP BY service HAVING count(*) > 1
    );
END $$;

CREATE VIEW usage_bill AS
SELECT id, customer_id, period,
       total + (usage_added(customer_id, period, folded_to, under_way)).amount AS total, currency
FROM usage_foldedbill;

CREATE VIEW usage_billline AS
SELECT bill_id, service, price_per_unit, sum(units_consumed) AS units_consumed,
       sum(amount) AS amount, sum(records)::bigint AS records
FROM (
    SELECT bill_id, service, price_per_unit, units_consumed, amount, records FROM usage_foldedline
  UNION ALL
    SELECT id, service, price_per_unit, units_consumed, amount, records
    FROM usage_foldedbill
    CROSS JOIN LATERAL usage_lines_added(customer_id, period, folded_to, under_way)
) parts
GROUP BY bill_id, service, price_per_unit;

-- One folds at a time, and so nobody waits for another's rows; null when it is somebody else, or
-- when it cannot be told what has ended. What it writes goes by keys, whatever the planner thinks.
CREATE FUNCTION usage_fold_bills(which bigint[], OUT bills bigint) LANGUAGE plpgsql
-- Lets what it writes pass the triggers that keep everybody else out.
SET usage.is_folding = on
SETTINGS
AS $$
DECLARE ended bigint; awaited bigint[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(1970495848) THEN
        RETURN;
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'READ COMMITTED only: an older snapshot may miss what has ended';
    END IF;
    SELECT up_to, under_way INTO ended, awaited FROM usage_turns();
    IF ended IS NULL THEN
        RETURN;
    END IF;
    -- Whoever folds what he wrote himself goes on with another turn.
    PERFORM set_config('usage.turn', '', true);
    WITH part AS (
        SELECT bill.id AS bill_id, customer_id, period, added.service, added.price_per_unit,
               sum(added.units_consumed) AS units_consumed, sum(added.amount) AS amount,
               count(*) AS records
        FROM usage_foldedbill bill CROSS JOIN LATERAL usage_unfolded(
            customer_id, period, folded_to, under_way
        ) added
        WHERE bill.id = ANY (which) AND added.turn <= ended AND added.turn <> ALL (awaited)
        GROUP BY bill.id, added.service, added.price_per_unit
    ), line AS (
        INSERT INTO usage_foldedline AS mine
            (bill_id, service, price_per_unit, units_consumed, amount, records)
        SELECT bill_id, service, price_per_unit, units_consumed, amount, records FROM part
        ON CONFLICT (bill_id, service, price_per_unit) DO UPDATE
        SET units_consumed = mine.units_consumed + EXCLUDED.units_consumed,
            amount = mine.amount + EXCLUDED.amount,
            records = mine.records + EXCLUDED.records
    )
    INSERT INTO usage_foldedbill AS mine (id, customer_id, period, total, folded_to, under_way)
    SELECT bill_id, customer_id, period, sum(amount), ended, awaited FROM part
    GROUP BY bill_id, customer_id, period
    ON CONFLICT (customer_id, period) DO UPDATE
    SET total = mine.total + EXCLUDED.total, folded_to = ended,
        -- A turn may still be locked whose records its own transaction has folded.
        under_way = ARRAY(
            SELECT turn FROM unnest(awaited) turn
            WHERE turn > mine.folded_to OR turn = ANY (mine.under_way)
        );
    GET DIAGNOSTICS bills = ROW_COUNT;
END $$;

CREATE FUNCTION usage_bills_with_news(folded bigint, awaited bigint[], OUT which bigint[])
LANGUAGE plpgsql STABLE
-- By the index of turns, which serves bitmaps alone; with a plan for much as for little.
SET enable_seqscan = off
SET enable_indexscan = off
SET enable_indexonlyscan = off
AS $$
BEGIN
    EXECUTE $news$
        SELECT array_agg((
            SELECT id FROM usage_foldedbill bill
            WHERE bill.customer_id = news.customer_id AND bill.period = news.period
        ))
        FROM (
            SELECT DISTINCT customer_id, period FROM usage_record
            WHERE turn > $1 OR turn = ANY ($2)
        ) news$news$
    INTO which USING folded, awaited;
END $$;

CREATE FUNCTION usage_fold(OUT bills bigint) LANGUAGE plpgsql AS $$
DECLARE ended bigint; awaited bigint[]; last record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(1970495848) THEN
        RETURN;
    END IF;
    -- Before it looks for news: what comes meanwhile is news the next time.
    SELECT up_to, under_way INTO ended, awaited FROM usage_turns();
    IF ended IS NULL THEN
        RETURN;
    END IF;
    SELECT folded_to, under_way INTO last FROM usage_folded;
    bills = usage_fold_bills(usage_bills_with_news(coalesce(last.folded_to, 0), last.under_way));
    IF bills IS NOT NULL THEN
        INSERT INTO usage_folded VALUES (true, ended, awaited)
        ON CONFLICT (is_all) DO UPDATE SET folded_to = ended, under_way = awaited;
    END IF;
END $$;

-- How much there is, it does not know yet.
ANALYZE usage_record (turn);
""".replace(
    "SETTINGS",
    # A plan that is kept must serve whatever comes: no table is as small as it was when it was
    # made, and a bill's records are found by their own index, not by that of all turns.
    "SET enable_seqscan = off\nSET enable_bitmapscan = off",
)
# Before any table: who folds holds this lock and wants the tables.
FOLD_ALONE = "SELECT pg_advisory_xact_lock(1970495848)"
READ_RECORDS_NO_MORE = """
LOCK TABLE usage_record IN ACCESS EXCLUSIVE MODE;
SELECT usage_fold_bills(array_agg(id)) FROM usage_foldedbill;
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM usage_record JOIN usage_foldedbill USING (customer_id, period)
        WHERE turn > folded_to OR turn = ANY (under_way)
    ) THEN
        RAISE EXCEPTION 'Not everything could be folded: try again';
    END IF;
END $$;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
DROP VIEW usage_bill, usage_billline;
DROP FUNCTION usage_fold, usage_bills_with_news, usage_fold_bills, usage_added, usage_lines_added,
    usage_has_two_prices, usage_unfolded, usage_turns;
DROP TABLE usage_folded;
"""


def by_index(trigger: str) -> str:
    """The triggers' plans are kept as well, as those of functions are."""
    return f"ALTER FUNCTION {trigger}() SET enable_seqscan = off"


def planned_once(trigger: str) -> str:
    """For any customers: weighing each of a thousand would cost more than it could gain."""
    return f"ALTER FUNCTION {trigger}() SET plan_cache_mode = force_generic_plan"


class Migration(migrations.Migration):
    dependencies = [("usage", "0002_bills_are_appended_to")]

    operations = [
        migrations.RunSQL(migrations.RunSQL.noop, by_index("pgtrigger_add_to_bills_9b940")),
        pgtrigger.migrations.RemoveTrigger(model_name="usagerecord", name="choose_period"),
        pgtrigger.migrations.RemoveTrigger(model_name="usagerecord", name="stay_as_it_is"),
        pgtrigger.migrations.RemoveTrigger(model_name="usagerecord", name="add_to_bills"),
        migrations.RunSQL(
            FORGET_ADDITIONS, before.APPEND + before.FOLD_ALL + before.FOLD_ONE
        ),
        migrations.AddField("foldedbill", "folded_to", models.BigIntegerField(db_default=0)),
        migrations.AddField(
            "foldedbill",
            "under_way",
            django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), db_default=[], size=None),
        ),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(TAKE_TURNS, TAKE_TURNS_NO_MORE)],
            [
                migrations.AddField(
                    "usagerecord",
                    "turn",
                    models.BigIntegerField(db_default=django.db.models.functions.comparison.Cast(django.db.models.functions.comparison.NullIf(models.Func(models.Value('usage.turn'), models.Value(True), function='current_setting'), models.Value('')), models.BigIntegerField()), editable=False, serialize=False),
                ),
            ],
        ),
        migrations.RemoveIndex("usagerecord", "usage_record_of_bill"),
        migrations.AddIndex(
            "usagerecord",
            models.Index(fields=["customer", "period", "turn"], name="usage_record_of_bill"),
        ),
        migrations.AddIndex(
            "usagerecord",
            django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=["turn"], name="usage_record_by_turn"),
        ),
        migrations.RunSQL(READ_RECORDS, READ_RECORDS_NO_MORE),
        pgtrigger.migrations.AddTrigger(
            model_name='usagerecord',
            trigger=pgtrigger.compiler.Trigger(name='take_turn', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE turn bigint;', func="\n    IF coalesce(current_setting('usage.turn', true), '') = '' THEN\n        PERFORM pg_advisory_xact_lock_shared(1970495847);\n        turn = nextval('usage_turn');\n        IF turn <= (SELECT folded_to FROM usage_folded) THEN\n            RAISE EXCEPTION 'Turn % was folded already', turn\n            USING HINT = 'Was the sequence lost? Set usage_turn to more than any folded_to.';\n        END IF;\n        PERFORM pg_advisory_xact_lock_shared(8463215219768819712 + turn);\n        PERFORM set_config('usage.turn', turn::text, true);\n    END IF;\n    RETURN NULL;\n    ", hash='efc4276a738e038ad674123238921ff46181f361', level='STATEMENT', operation='INSERT', pgid='pgtrigger_take_turn_41b3b', table='usage_record', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='usagerecord',
            trigger=pgtrigger.compiler.Trigger(name='choose_period', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (NEW."period" IS NULL)', func="\n    NEW.period = \n    CASE WHEN EXISTS (SELECT FROM usage_closing WHERE date_trunc('month', NEW.recorded_at AT TIME ZONE 'UTC')::date BETWEEN first_month AND last_month) THEN\n        (SELECT greatest(date_trunc('month', now() AT TIME ZONE 'UTC')::date, (max(last_month) + interval '1 month')::date)\n         FROM usage_closing)\n    ELSE date_trunc('month', NEW.recorded_at AT TIME ZONE 'UTC')::date END;\n    RETURN NEW;\n    ", hash='31c7249036926926304c70402a8162ad0735aa44', operation='INSERT', pgid='pgtrigger_choose_period_7429b', table='usage_record', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='usagerecord',
            trigger=pgtrigger.compiler.Trigger(name='open_bills', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE used record; wrong date;', func="\n    FOR used IN\n        SELECT period, turn, array_agg(customer_id) AS customers,\n               date_trunc('month', min(recorded_at) AT TIME ZONE 'UTC')::date AS first_month,\n               date_trunc('month', max(recorded_at) AT TIME ZONE 'UTC')::date AS last_month\n        FROM fresh GROUP BY period, turn ORDER BY period\n    LOOP\n        IF current_setting('transaction_isolation') <> 'read committed' THEN\n            RAISE EXCEPTION 'READ COMMITTED only: an older snapshot may miss a closing';\n        ELSIF used.turn <> current_setting('usage.turn')::bigint THEN\n            RAISE EXCEPTION 'A record comes with the turn of its transaction, and with no other'\n            USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_record_turn';\n        ELSIF EXISTS (SELECT FROM usage_closing WHERE used.period BETWEEN first_month AND last_month) THEN\n            wrong = used.first_month;\n        ELSIF used.first_month <> used.period OR used.last_month <> used.period THEN\n            SELECT month INTO wrong\n            FROM (SELECT DISTINCT date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date AS month FROM fresh\n                  WHERE period = used.period) given\n            WHERE used.period < month OR used.period <> date_trunc('month', used.period)\n               OR (used.period > month AND NOT EXISTS (SELECT FROM usage_closing WHERE month BETWEEN first_month AND last_month))\n            LIMIT 1;\n        END IF;\n        IF wrong IS NOT NULL THEN\n            RAISE EXCEPTION 'Usage of % cannot go on the bill of %', wrong, used.period\n            USING ERRCODE = 'serialization_failure',\n                  HINT = 'The month may have been closed just now.';\n        END IF;\n        -- Nearly always all of these bills are there; their customers then are as well.\n        INSERT INTO usage_foldedbill (customer_id, period)\n        SELECT customer_id, used.period FROM (\n            SELECT unnest(used.customers)\n          EXCEPT\n            SELECT mine.customer_id FROM usage_foldedbill mine\n            WHERE mine.customer_id = ANY (used.customers) AND mine.period = used.period\n        ) missing (customer_id)\n        ORDER BY customer_id\n        ON CONFLICT (customer_id, period) DO NOTHING;\n    END LOOP;\n    RETURN NULL;\n    ", hash='13599d5d83a6a63c78818c82a3b61a1324412567', level='STATEMENT', operation='INSERT', pgid='pgtrigger_open_bills_1b0d9', referencing='REFERENCING NEW TABLE AS fresh ', table='usage_record', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='usagerecord',
            trigger=pgtrigger.compiler.Trigger(name='stay_as_it_is', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n    IF NEW.period IS NULL THEN\n        NEW.period = OLD.period;\n    END IF;\n    IF NEW.recorded_at = statement_timestamp() THEN\n        NEW.recorded_at = OLD.recorded_at;\n    END IF;\n    IF NEW.created_at = statement_timestamp() THEN\n        NEW.created_at = OLD.created_at;\n    END IF;\n    IF NEW.turn IS NULL OR NEW.turn::text = current_setting('usage.turn', true) THEN\n        NEW.turn = OLD.turn;\n    END IF;\n    -- What is generated is generated later.\n    NEW.amount = OLD.amount;\n    IF NEW IS DISTINCT FROM OLD THEN\n        RAISE EXCEPTION 'A record is never changed: take it back with a correction';\n    END IF;\n    RETURN OLD;\n    ", hash='63fe7e1433067514f2f6c8e7902e874df5275ab0', operation='UPDATE', pgid='pgtrigger_stay_as_it_is_754dd', table='usage_record', when='BEFORE')),
        ),
        migrations.RunSQL(
            [by_index("pgtrigger_open_bills_1b0d9"), planned_once("pgtrigger_open_bills_1b0d9")],
            FOLD_ALONE,
        ),
    ]
