"""A person's uses of a benefit are looked for in the index that begins with the person, always.

Where the counts said that all uses were one person's, or that each benefit had few, the index by
benefit was as good still: through all that anybody did in a hot benefit, for each use of it. And
where they said that there were none, the whole table was. Asked between two whole places in the
index that begins with the person, no other can answer.
"""

from importlib import import_module

from django.db import migrations

first = import_module("benefits.migrations.0001_initial")
before = import_module("benefits.migrations.0003_one_persons_uses")

SETTINGS = "SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan"
ONLY_BY_INDEX = f"{SETTINGS} SET enable_seqscan = off"
LATER = """(person_id, benefit_id, usage_timestamp) > (who, what, at - span)
{indent}  AND (person_id, benefit_id, usage_timestamp) <= (who, what, timestamptz 'infinity')"""

# One look instead of two: between places it costs a little more than it did between moments.
AVAILABLE_AT = f"""
-- The first instant, at or after this one, with no use of theirs less than a span away.
CREATE OR REPLACE FUNCTION benefits_available_at(
    who bigint, what bigint, span interval, at timestamptz
) RETURNS timestamptz LANGUAGE sql STABLE
{ONLY_BY_INDEX}
RETURN (
    SELECT free
    FROM (SELECT usage_timestamp AS following,
                 coalesce(lag(usage_timestamp) OVER (ORDER BY usage_timestamp) + span, at) AS free
          FROM (SELECT usage_timestamp FROM benefit_usage
                WHERE person_id = who
                  AND {LATER.format(indent=" " * 16)}
              UNION ALL
                SELECT timestamptz 'infinity') AS uses) AS gaps
    WHERE free + span <= following
    ORDER BY following LIMIT 1
);
"""

RECORD = first.RECORD.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
RECORD_BEFORE = RECORD.replace("SET search_path FROM CURRENT", SETTINGS)
RECORD_NOW = RECORD.replace("SET search_path FROM CURRENT", ONLY_BY_INDEX).replace(
    """
    WHERE person_id = who AND benefit_id = what AND usage_timestamp > at - span
    ORDER BY usage_timestamp LIMIT 1""",
    f"""
    WHERE {LATER.format(indent=" " * 4)}
    ORDER BY person_id, benefit_id, usage_timestamp LIMIT 1""",
)


class Migration(migrations.Migration):
    dependencies = [("benefits", "0003_one_persons_uses")]

    operations = [
        migrations.RunSQL(AVAILABLE_AT, before.AVAILABLE_AT),
        migrations.RunSQL(RECORD_NOW, RECORD_BEFORE),
    ]
