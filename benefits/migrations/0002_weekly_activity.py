"""Uses are counted by the week, and a statement that writes uses only appends what it changed.

Before, it updated a row for the day and one for the block of days: two thirds of what recording a
use cost the database, and whoever recorded uses of one benefit queued for them.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

before = import_module("benefits.migrations.0001_initial")

WEEK = "date_trunc('week', usage_timestamp AT TIME ZONE 'UTC')::date"
CHANGED = f"""
    INSERT INTO benefits_change (starts_on, benefit_id, uses)
    SELECT {WEEK}, benefit_id, {{sign}}count(*) FROM {{rows}} GROUP BY 1, 2;
"""
MOVED = f"""
    INSERT INTO benefits_change (starts_on, benefit_id, uses)
    SELECT starts_on, benefit_id, sum(uses) FROM (
        SELECT {WEEK} AS starts_on, benefit_id, 1 AS uses FROM added
      UNION ALL
        SELECT {WEEK}, benefit_id, -1 FROM removed
    ) AS moved
    GROUP BY 1, 2 HAVING sum(uses) <> 0;
"""
# Already empty where one TRUNCATE names all three: then it must not be touched again.
EMPTIED = """
    IF EXISTS (SELECT FROM benefits_change) OR EXISTS (SELECT FROM benefits_activity) THEN
        TRUNCATE benefits_change, benefits_activity;
    END IF;
"""
# A single use, as recording writes it, is spared the grouping, and the sequence that gave its id
# need not follow: a third of the trigger's time.
ADDED = f"""
    SELECT count(*), max(id), max(benefit_id), max(usage_timestamp)
    INTO rows, highest, benefit, moment FROM added;
    IF rows = 1 THEN
        INSERT INTO benefits_change (starts_on, benefit_id, uses)
        VALUES (date_trunc('week', moment AT TIME ZONE 'UTC')::date, benefit, 1);
    ELSE
        {CHANGED.format(sign="", rows="added")}
    END IF;
    IF highest > coalesce(pg_sequence_last_value('benefit_usage_id_seq'), 0) THEN
        {before.FOLLOW.format(table="benefit_usage")}
    END IF;
"""
TRIGGERS = [
    before.trigger(
        "benefits_uses_added", "benefit_usage", "INSERT", ADDED, "REFERENCING NEW TABLE AS added",
        "DECLARE rows bigint; highest bigint; benefit bigint; moment timestamptz;\n",
    ),
    before.trigger(
        "benefits_uses_removed", "benefit_usage", "DELETE",
        CHANGED.format(sign="-", rows="removed"), "REFERENCING OLD TABLE AS removed",
    ),
    before.trigger(
        "benefits_uses_moved", "benefit_usage", "UPDATE",
        MOVED, "REFERENCING OLD TABLE AS removed NEW TABLE AS added",
    ),
    before.trigger("benefits_uses_emptied", "benefit_usage", "TRUNCATE", EMPTIED),
]

# No key: nobody looks for a row of it. It is read whole, and each minute folded away.
CHANGE = """
CREATE TABLE benefits_change (
    starts_on date NOT NULL, benefit_id bigint NOT NULL, uses integer NOT NULL
);
"""
# A data-only dump or fixture of everything holds the activity as well as the uses it comes of:
# what comes neither from the triggers above nor from the fold is passed over, or it would count
# twice. The condition of an insert into the changes is read for every use, so it is short.
DERIVED = """
CREATE FUNCTION benefits_activity_is_derived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
CREATE TRIGGER benefits_change_is_derived BEFORE INSERT ON benefits_change
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION benefits_activity_is_derived();
""" + "".join(
    f"""
CREATE TRIGGER {table}_is_kept BEFORE {events} ON {table}
    FOR EACH ROW WHEN (pg_trigger_depth() = 0
                       AND current_setting('benefits.keeps_activity', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION benefits_activity_is_derived();
"""
    for table, events in (
        ("benefits_change", "UPDATE OR DELETE"),
        ("benefits_activity", "INSERT OR UPDATE OR DELETE"),
    )
)
COUNTED = f"""
INSERT INTO benefits_activity (starts_on, benefit_id, uses)
SELECT {WEEK}, benefit_id, count(*) FROM benefit_usage GROUP BY 1, 2 ORDER BY 1, 2;
"""
FORWARD = CHANGE + COUNTED + "".join(TRIGGERS) + DERIVED
BACKWARD = """
DROP FUNCTION benefits_uses_added, benefits_uses_removed, benefits_uses_moved,
    benefits_uses_emptied, benefits_activity_is_derived CASCADE;
DROP TABLE benefits_change;
"""

FORGET = """
DROP FUNCTION benefits_uses_added, benefits_uses_removed, benefits_uses_moved,
    benefits_uses_emptied, benefits_activity_is_derived CASCADE;
"""
RESTORE = (
    before.STORAGE
    + before.ADD.format(added="benefit_usage", merged="")
    + "".join(before.TRIGGERS[:4])
    + before.DERIVED
)


class Migration(migrations.Migration):
    dependencies = [("benefits", "0001_initial")]

    operations = [
        migrations.RunSQL(FORGET, RESTORE),
        migrations.DeleteModel("Activity"),
        migrations.CreateModel(
            name="Activity",
            fields=[
                ("pk", models.CompositePrimaryKey("starts_on", "benefit_id", blank=True, editable=False, primary_key=True, serialize=False)),
                ("starts_on", models.DateField()),
                ("uses", models.IntegerField()),
                ("benefit", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="activity", to="benefits.benefit")),
            ],
            options={"verbose_name_plural": "activity"},
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
