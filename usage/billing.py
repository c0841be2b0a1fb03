"""How a record reaches its bill: in the database, so that it does not matter how it came in.

Writers hold the gate shared until they commit, closing a month takes it alone: whoever is let in
afterwards sees the month closed, and what was let in before is on its bill.

Each transaction that writes takes a turn, the next number of a sequence, and holds the lock of that
number until it ends. So it can be seen up to which turn all have ended, and which have not.
"""

import pgtrigger
from django.db import models
from django.db.models import Func, Value
from django.db.models.functions import Cast, NullIf

GATE = 1_970_495_847  # the advisory lock, "usag"
TURNS = GATE << 32  # and those of turns: this and the turn
TURN_SETTING = "usage.turn"
# Null where there is none, as in an update.
CURRENT_TURN = Cast(
    NullIf(Func(Value(TURN_SETTING), Value(True), function="current_setting"), Value("")),
    models.BigIntegerField(),
)


def month_of(moment: str) -> str:
    """The UTC month of an SQL expression, as its first day."""
    return f"date_trunc('month', {moment} AT TIME ZONE 'UTC')::date"


def is_closed(month: str) -> str:
    return f"EXISTS (SELECT FROM usage_closing WHERE {month} BETWEEN first_month AND last_month)"


def period_of(moment: str, now: str) -> str:
    """The month on whose bill usage of this moment goes: its own, or when closed the current one.

    The clock of whoever asks may be behind a closing; after the last closed month all are open.
    """
    return f"""
    CASE WHEN {is_closed(month_of(moment))} THEN
        (SELECT greatest({month_of(now)}, (max(last_month) + interval '1 month')::date)
         FROM usage_closing)
    ELSE {month_of(moment)} END"""  # noqa: S608


# Once for a transaction. The gate comes before the number: whoever sees the one held without the
# lock of a turn knows that a number is being drawn. (Not when `RESET ALL` makes a transaction draw
# twice: who does that while somebody folds may miss a record on its bill.)
TAKE_TURN = pgtrigger.Trigger(
    name="take_turn",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    level=pgtrigger.Statement,
    declare=[("turn", "bigint")],
    func=f"""
    IF coalesce(current_setting('{TURN_SETTING}', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock_shared({GATE});
        turn = nextval('usage_turn');
        IF turn <= (SELECT folded_to FROM usage_folded) THEN
            RAISE EXCEPTION 'Turn % was folded already', turn
            USING HINT = 'Was the sequence lost? Set usage_turn to more than any folded_to.';
        END IF;
        PERFORM pg_advisory_xact_lock_shared({TURNS} + turn);
        PERFORM set_config('{TURN_SETTING}', turn::text, true);
    END IF;
    RETURN NULL;
    """,  # noqa: S608
)

CHOOSE_PERIOD = pgtrigger.Trigger(
    name="choose_period",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    condition=pgtrigger.Condition('NEW."period" IS NULL'),
    func=f"""
    NEW.period = {period_of("NEW.recorded_at", "now()")};
    RETURN NEW;
    """,
)

# A correction takes back exactly what it names; how much of it is nobody's choice. It is looked up
# by its id alone: by the customer as well, taking back many of one customer may read all for each.
EXPECT_REVERSAL = pgtrigger.Trigger(
    name="expect_reversal",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    condition=pgtrigger.Condition('NEW."corrects_id" IS NOT NULL'),
    func="""
    IF NOT EXISTS (
        SELECT FROM (SELECT * FROM usage_record WHERE id = NEW.corrects_id OFFSET 0) taken_back
        WHERE corrects_id IS NULL AND customer_id = NEW.customer_id
          AND service = NEW.service AND price_per_unit = NEW.price_per_unit
          AND units_consumed = -NEW.units_consumed
    ) THEN
        RAISE EXCEPTION 'A correction takes back exactly the record that it names'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_record_reversal';
    END IF;
    RETURN NEW;
    """,
)

# Once for each statement, whether it brings one row or a million: arrays end at 67 millions of one
# month. Nobody waits for another's bill, unless both make the same one, and that in one order: what
# is on it stands in the records.
# Where the earliest and the latest moment are of the bill's month, all are; whether usage may come
# later than its month, only all of its months tell. To look a thousand bills up at once takes half
# of the 3 ms of asking for each, and 0.8 ms less than with the customers made distinct before.
OPEN_BILLS = pgtrigger.Trigger(
    name="open_bills",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    level=pgtrigger.Statement,
    referencing=pgtrigger.Referencing(new="fresh"),  # type: ignore[no-untyped-call]
    declare=[("used", "record"), ("wrong", "date")],
    func=f"""
    FOR used IN
        SELECT period, turn, array_agg(customer_id) AS customers,
               {month_of("min(recorded_at)")} AS first_month,
               {month_of("max(recorded_at)")} AS last_month
        FROM fresh GROUP BY period, turn ORDER BY period
    LOOP
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'READ COMMITTED only: an older snapshot may miss a closing';
        ELSIF used.turn <> current_setting('{TURN_SETTING}')::bigint THEN
            RAISE EXCEPTION 'A record comes with the turn of its transaction, and with no other'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_record_turn';
        ELSIF {is_closed("used.period")} THEN
            wrong = used.first_month;
        ELSIF used.first_month <> used.period OR used.last_month <> used.period THEN
            SELECT month INTO wrong
            FROM (SELECT DISTINCT {month_of("recorded_at")} AS month FROM fresh
                  WHERE period = used.period) given
            WHERE used.period < month OR used.period <> date_trunc('month', used.period)
               OR (used.period > month AND NOT {is_closed("month")})
            LIMIT 1;
        END IF;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'Usage of % cannot go on the bill of %', wrong, used.period
            USING ERRCODE = 'serialization_failure',
                  HINT = 'The month may have been closed just now.';
        END IF;
        -- Nearly always all of these bills are there; their customers then are as well.
        INSERT INTO usage_foldedbill (customer_id, period)
        SELECT customer_id, used.period FROM (
            SELECT unnest(used.customers)
          EXCEPT
            SELECT mine.customer_id FROM usage_foldedbill mine
            WHERE mine.customer_id = ANY (used.customers) AND mine.period = used.period
        ) missing (customer_id)
        ORDER BY customer_id
        ON CONFLICT (customer_id, period) DO NOTHING;
    END LOOP;
    RETURN NULL;
    """,  # noqa: S608
)


# A row that is loaded again says the same and leaves the rest to the database: it stays as it is.
STAY_AS_IT_IS = pgtrigger.Trigger(
    name="stay_as_it_is",
    when=pgtrigger.Before,
    operation=pgtrigger.Update,
    func=f"""
    IF NEW.period IS NULL THEN
        NEW.period = OLD.period;
    END IF;
    IF NEW.recorded_at = statement_timestamp() THEN
        NEW.recorded_at = OLD.recorded_at;
    END IF;
    IF NEW.created_at = statement_timestamp() THEN
        NEW.created_at = OLD.created_at;
    END IF;
    IF NEW.turn IS NULL OR NEW.turn::text = current_setting('{TURN_SETTING}', true) THEN
        NEW.turn = OLD.turn;
    END IF;
    -- What is generated is generated later.
    NEW.amount = OLD.amount;
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'A record is never changed: take it back with a correction';
    END IF;
    RETURN OLD;
    """,
)


def written_by_records_only(table: str) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name="follows_records",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        condition=pgtrigger.Condition(
            "pg_trigger_depth() = 0"
            " AND current_setting('usage.is_folding', true) IS DISTINCT FROM 'on'"
        ),
        func=f"RAISE EXCEPTION '{table} follows from usage_record and is written by nobody else';",
    )


def never_emptied() -> pgtrigger.Trigger:
    # Row triggers do not see TRUNCATE.
    return pgtrigger.Trigger(
        name="never_emptied",
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        level=pgtrigger.Statement,
        func="RAISE EXCEPTION 'Cannot truncate %: it stays for ever', TG_TABLE_NAME;",
    )
