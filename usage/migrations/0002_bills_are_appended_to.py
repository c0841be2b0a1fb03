"""What a record adds to its bill is appended, and folded into the bill later.

Before, the record's own statement changed the bill and its line: two thirds of what a batch for many
customers cost the database, and batches with one bill in common waited for each other.
"""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
import usage.fields
from django.db import migrations, models

RENAME = """
ALTER TABLE usage_bill RENAME TO usage_foldedbill;
ALTER TABLE usage_bill_id_seq RENAME TO usage_foldedbill_id_seq;
ALTER TABLE usage_foldedbill ALTER total SET DEFAULT 0;
ALTER TABLE usage_billline RENAME TO usage_foldedline;
ALTER TABLE usage_billline_id_seq RENAME TO usage_foldedline_id_seq;
"""
RENAME_BACK = """
ALTER TABLE usage_foldedline RENAME TO usage_billline;
ALTER TABLE usage_foldedline_id_seq RENAME TO usage_billline_id_seq;
ALTER TABLE usage_foldedbill ALTER total DROP DEFAULT;
ALTER TABLE usage_foldedbill RENAME TO usage_bill;
ALTER TABLE usage_foldedbill_id_seq RENAME TO usage_bill_id_seq;
"""

# No key: nobody looks for one of its rows, but for all that a bill has.
APPEND = """
CREATE TABLE usage_addition (
    customer_id bigint NOT NULL,
    period date NOT NULL,
    service varchar(200) COLLATE "C" NOT NULL,
    price_per_unit numeric NOT NULL,
    units_consumed numeric NOT NULL,
    amount numeric NOT NULL,
    records bigint NOT NULL
);
CREATE INDEX usage_addition_of_bill ON usage_addition (customer_id, period);

CREATE FUNCTION usage_addition_follows_records() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'usage_addition follows from usage_record and is written by nobody else';
END $$;
CREATE TRIGGER follows_records BEFORE INSERT OR UPDATE OR DELETE ON usage_addition
    FOR EACH ROW WHEN (pg_trigger_depth() = 0
                       AND current_setting('usage.is_folding', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION usage_addition_follows_records();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON usage_addition
    FOR EACH STATEMENT EXECUTE FUNCTION usage_addition_follows_records();

-- Stable, so that it sees what the statement sees that adds it to the folded total: both before
-- somebody folds, or both after.
CREATE FUNCTION usage_added(customer bigint, month date, OUT amount numeric, OUT additions bigint)
LANGUAGE plpgsql STABLE
-- The table is as good as empty or full of news; a plan made for the one must serve the other.
SET enable_seqscan = off
-- Only a plain scan of the index remembers which of its entries are dead.
SET enable_bitmapscan = off
AS $$
BEGIN
    SELECT coalesce(sum(added.amount), 0), count(*) INTO amount, additions
    FROM usage_addition added WHERE customer_id = customer AND period = month;
END $$;

CREATE FUNCTION usage_lines_added(customer bigint, month date) RETURNS TABLE (
    service varchar, price_per_unit numeric, units_consumed numeric, amount numeric, records bigint
)
LANGUAGE plpgsql STABLE ROWS 10
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT added.service, added.price_per_unit, added.units_consumed, added.amount, added.records
    FROM usage_addition added WHERE customer_id = customer AND period = month;
END $$;

CREATE FUNCTION usage_has_two_prices(bill bigint, customer bigint, month date) RETURNS boolean
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM (
            SELECT service, price_per_unit FROM usage_foldedline WHERE bill_id = bill
          UNION
            SELECT service, price_per_unit FROM usage_addition
            WHERE customer_id = customer AND period = month
        ) prices
        GROUP BY service HAVING count(*) > 1
    );
END $$;

CREATE VIEW usage_bill AS
SELECT id, customer_id, period, total + (usage_added(customer_id, period)).amount AS total, currency
FROM usage_foldedbill;

CREATE VIEW usage_billline AS
SELECT bill_id, service, price_per_unit, sum(units_consumed) AS units_consumed,
       sum(amount) AS amount, sum(records)::bigint AS records
FROM (
    SELECT bill_id, service, price_per_unit, units_consumed, amount, records FROM usage_foldedline
  UNION ALL
    SELECT id, service, price_per_unit, units_consumed, amount, records
    FROM usage_foldedbill CROSS JOIN LATERAL usage_lines_added(customer_id, period)
) parts
GROUP BY bill_id, service, price_per_unit;
"""
ADD_TO_LINES = """ON CONFLICT (bill_id, service, price_per_unit) DO UPDATE
        SET units_consumed = mine.units_consumed + EXCLUDED.units_consumed,
            amount = mine.amount + EXCLUDED.amount,
            records = mine.records + EXCLUDED.records"""
# One folds at a time, and so nobody waits for another's rows; the lock is the gate's and one.
FOLD = """
CREATE FUNCTION {signature} LANGUAGE plpgsql
-- Lets what it writes pass the triggers that keep everybody else out.
SET usage.is_folding = on
{settings}
AS $$
BEGIN
    bills = 0;
    IF NOT pg_try_advisory_xact_lock(1970495848) THEN
        RETURN;
    END IF;
    {fold};
    GET DIAGNOSTICS bills = ROW_COUNT;
END $$;
"""
# Planned anew each time, for many additions as for few.
FOLD_ALL = FOLD.format(
    signature="usage_fold(OUT bills bigint)", settings="", fold=f"""EXECUTE $fold$
    WITH taken AS (
        DELETE FROM usage_addition RETURNING *
    ), part AS (
        SELECT bill.id AS bill_id, service, price_per_unit, sum(units_consumed) AS units_consumed,
               sum(taken.amount) AS amount, sum(records) AS records
        FROM taken JOIN usage_foldedbill bill USING (customer_id, period)
        GROUP BY bill.id, service, price_per_unit
    ), line AS (
        INSERT INTO usage_foldedline AS mine
            (bill_id, service, price_per_unit, units_consumed, amount, records)
        SELECT bill_id, service, price_per_unit, units_consumed, amount, records FROM part
        {ADD_TO_LINES}
    )
    UPDATE usage_foldedbill bill SET total = bill.total + added.amount
    FROM (SELECT bill_id, sum(amount) AS amount FROM part GROUP BY bill_id) added
    WHERE id = bill_id$fold$""",
)  # fmt: skip
# Its plan is kept, and so without a join: one made for hardly any bills read them all each time.
FOLD_ONE = FOLD.format(
    signature="usage_fold_one(customer bigint, month date, OUT bills bigint)",
    # As in usage_added.
    settings="SET enable_seqscan = off\nSET enable_bitmapscan = off",
    fold=f"""WITH part AS (
        DELETE FROM usage_addition WHERE customer_id = customer AND period = month RETURNING *
    ), line AS (
        INSERT INTO usage_foldedline AS mine
            (bill_id, service, price_per_unit, units_consumed, amount, records)
        SELECT (SELECT id FROM usage_foldedbill WHERE customer_id = customer AND period = month),
               service, price_per_unit, sum(units_consumed), sum(amount), sum(records)
        FROM part GROUP BY service, price_per_unit
        {ADD_TO_LINES}
    )
    UPDATE usage_foldedbill SET total = total + (SELECT sum(amount) FROM part)
    WHERE customer_id = customer AND period = month AND EXISTS (SELECT FROM part)""",
)  # fmt: skip

# The triggers' plans are kept as well; each record of a batch asks for its bill, each correction
# for what it takes back.
BY_INDEX = "".join(
    f"ALTER FUNCTION {trigger}() SET enable_seqscan = off;"
    for trigger in ("pgtrigger_add_to_bills_9b940", "pgtrigger_expect_reversal_244e7")
)
UNDO = f"""
DROP VIEW usage_bill, usage_billline;
DROP FUNCTION
    usage_fold, usage_fold_one, usage_added, usage_lines_added, usage_has_two_prices;
INSERT INTO usage_foldedline AS mine
    (bill_id, service, price_per_unit, units_consumed, amount, records)
SELECT id, service, price_per_unit, sum(units_consumed), sum(amount), sum(records)
FROM usage_foldedbill JOIN usage_addition USING (customer_id, period)
GROUP BY id, service, price_per_unit
{ADD_TO_LINES};
UPDATE usage_foldedbill bill SET total = bill.total + added.amount
FROM (
    SELECT customer_id, period, sum(amount) AS amount FROM usage_addition
    GROUP BY customer_id, period
) added
WHERE bill.customer_id = added.customer_id AND bill.period = added.period;
DROP TABLE usage_addition;
DROP FUNCTION usage_addition_follows_records;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial")]

    operations = [
        *(
            pgtrigger.migrations.RemoveTrigger(model_name=model, name=name)
            for model, name in [
                ("usagerecord", "add_to_bills"),
                ("usagerecord", "expect_reversal"),
                ("bill", "follows_records"),
                ("bill", "never_emptied"),
                ("billline", "follows_records"),
                ("billline", "never_emptied"),
            ]
        ),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(RENAME, RENAME_BACK),
                migrations.RunSQL(APPEND + FOLD_ALL + FOLD_ONE, UNDO),
            ],
            [
                migrations.DeleteModel("BillLine"),
                migrations.DeleteModel("Bill"),
                migrations.CreateModel(
                    name="FoldedBill",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("customer", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="usage.customer")),
                        ("period", models.DateField()),
                        ("total", usage.fields.ExactDecimal(db_default=0, decimal_places=12, max_digits=40)),
                        ("currency", models.CharField(db_default="USD", max_length=3)),
                    ],
                    options={
                        "default_permissions": (),
                        "constraints": [
                            models.UniqueConstraint(fields=("customer", "period"), name="usage_bill_unique"),
                            models.CheckConstraint(condition=models.Q(("period__day", 1)), name="usage_bill_whole_month"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="FoldedLine",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("bill", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="usage.foldedbill")),
                        ("service", models.CharField(db_collation="C", max_length=200)),
                        ("price_per_unit", usage.fields.ExactDecimal(decimal_places=6, max_digits=18)),
                        ("units_consumed", usage.fields.ExactDecimal(decimal_places=6, max_digits=40)),
                        ("amount", usage.fields.ExactDecimal(decimal_places=12, max_digits=40)),
                        ("records", models.BigIntegerField()),
                    ],
                    options={
                        "default_permissions": (),
                        "constraints": [
                            models.UniqueConstraint(fields=("bill", "service", "price_per_unit"), name="usage_billline_unique"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Bill",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("customer", models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name="bills", to="usage.customer")),
                        ("period", models.DateField(help_text="The first day of its month (UTC).")),
                        ("total", usage.fields.ExactDecimal(decimal_places=12, max_digits=40)),
                        ("currency", models.CharField(max_length=3)),
                    ],
                    options={
                        "managed": False,
                        "db_table": "usage_bill",
                        "ordering": ["-period", "customer_id"],
                        "permissions": [("close_bill", "Can close months")],
                    },
                ),
                migrations.CreateModel(
                    name="BillLine",
                    fields=[
                        ("pk", models.CompositePrimaryKey("bill_id", "service", "price_per_unit", blank=True, editable=False, primary_key=True, serialize=False)),
                        ("bill", models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name="lines", to="usage.bill")),
                        ("service", models.CharField(max_length=200)),
                        ("price_per_unit", usage.fields.ExactDecimal(decimal_places=6, max_digits=18)),
                        ("units_consumed", usage.fields.ExactDecimal(decimal_places=6, max_digits=40)),
                        ("amount", usage.fields.ExactDecimal(decimal_places=12, max_digits=40)),
                        ("records", models.BigIntegerField()),
                    ],
                    options={
                        "managed": False,
                        "db_table": "usage_billline",
                        "ordering": ["bill_id", "service", "price_per_unit"],
                    },
                ),
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='usagerecord',
            trigger=pgtrigger.compiler.Trigger(name='add_to_bills', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE wrong record;', func="\n    IF NOT EXISTS (SELECT FROM fresh) THEN\n        RETURN NULL;\n    END IF;\n    IF current_setting('transaction_isolation') <> 'read committed' THEN\n        RAISE EXCEPTION 'READ COMMITTED only: an older snapshot may miss a closing';\n    END IF;\n    PERFORM pg_advisory_xact_lock_shared(1970495847);\n    SELECT period, month INTO wrong\n    FROM (SELECT DISTINCT period, date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date AS month FROM fresh) given\n    WHERE EXISTS (SELECT FROM usage_closing WHERE period BETWEEN first_month AND last_month) OR period < month OR period <> date_trunc('month', period)\n       OR (period > month AND NOT EXISTS (SELECT FROM usage_closing WHERE month BETWEEN first_month AND last_month))\n    LIMIT 1;\n    IF FOUND THEN\n        RAISE EXCEPTION 'Usage of % cannot go on the bill of %', wrong.month, wrong.period\n        USING ERRCODE = 'serialization_failure', HINT = 'The month may have been closed just now.';\n    END IF;\n    WITH added AS (\n        INSERT INTO usage_addition\n            (customer_id, period, service, price_per_unit, units_consumed, amount, records)\n        SELECT customer_id, period, service, price_per_unit,\n               sum(units_consumed), sum(amount), count(*)\n        FROM fresh GROUP BY customer_id, period, service, price_per_unit\n        RETURNING customer_id, period\n    )\n    -- Nearly always all of these bills are there; their customers then are as well.\n    INSERT INTO usage_foldedbill (customer_id, period)\n    SELECT DISTINCT customer_id, period FROM added WHERE (\n        SELECT id FROM usage_foldedbill mine\n        WHERE mine.customer_id = added.customer_id AND mine.period = added.period\n    ) IS NULL\n    ORDER BY customer_id, period\n    ON CONFLICT (customer_id, period) DO NOTHING;\n    RETURN NULL;\n    ", hash='8538b41f74c14adf43a5bea9a68ba3c8c40edca2', level='STATEMENT', operation='INSERT', pgid='pgtrigger_add_to_bills_9b940', referencing='REFERENCING NEW TABLE AS fresh ', table='usage_record', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='usagerecord',
            trigger=pgtrigger.compiler.Trigger(name='expect_reversal', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (NEW."corrects_id" IS NOT NULL)', func="\n    IF NOT EXISTS (\n        SELECT FROM (SELECT * FROM usage_record WHERE id = NEW.corrects_id OFFSET 0) taken_back\n        WHERE corrects_id IS NULL AND customer_id = NEW.customer_id\n          AND service = NEW.service AND price_per_unit = NEW.price_per_unit\n          AND units_consumed = -NEW.units_consumed\n    ) THEN\n        RAISE EXCEPTION 'A correction takes back exactly the record that it names'\n        USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_record_reversal';\n    END IF;\n    RETURN NEW;\n    ", hash='2f1a14b1e12ebca68a8485f42518035cc58f40ff', operation='INSERT', pgid='pgtrigger_expect_reversal_244e7', table='usage_record', when='BEFORE')),
        ),
        migrations.RunSQL(BY_INDEX, migrations.RunSQL.noop),
        pgtrigger.migrations.AddTrigger(
            model_name='foldedbill',
            trigger=pgtrigger.compiler.Trigger(name='follows_records', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (pg_trigger_depth() = 0 AND current_setting('usage.is_folding', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'usage_foldedbill follows from usage_record and is written by nobody else';", hash='a8dd4ce77054cff4ca073411b487be87ea4cdffc', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_follows_records_6483a', table='usage_foldedbill', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='foldedbill',
            trigger=pgtrigger.compiler.Trigger(name='never_emptied', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Cannot truncate %: it stays for ever', TG_TABLE_NAME;", hash='b328fe1c167ed228ca4f16fc1a639970a1caa120', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_emptied_85328', table='usage_foldedbill', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='foldedline',
            trigger=pgtrigger.compiler.Trigger(name='follows_records', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (pg_trigger_depth() = 0 AND current_setting('usage.is_folding', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'usage_foldedline follows from usage_record and is written by nobody else';", hash='ebf8d11b0330a79b37dc4d2e081cf78033abc74a', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_follows_records_9d32b', table='usage_foldedline', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='foldedline',
            trigger=pgtrigger.compiler.Trigger(name='never_emptied', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Cannot truncate %: it stays for ever', TG_TABLE_NAME;", hash='8d3909637ce8447bf764d0350b20f9cca7415f9d', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_emptied_0ac9a', table='usage_foldedline', when='BEFORE')),
        ),
    ]
