"""Periods that are worked out through one index, whatever was counted of the tables last.

Where the counts said that all history was of one subscription, the index of months served as well
as the one of subscriptions, for the order it brings. That plan then read the whole history for each.
"""

from importlib import import_module

from django.db import migrations

before = import_module("clubs.migrations.0002_incremental_periods")

REFRESH = """
CREATE OR REPLACE FUNCTION clubs_refresh_periods(ids varchar[]) RETURNS void LANGUAGE plpgsql
-- The plan goes from subscription to subscription, and is made once in a session: also for the
-- million rows after the first one, and whatever the tables were like when that came.
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    clubs bigint[];
BEGIN
    -- Of two at once on one subscription the second waits, and then sees the first one's rows. The
    -- locks are in the rows, so that there may be millions of them.
    SELECT array_agg(id), array_agg(club_id) INTO ids, clubs FROM (
        SELECT id, club_id FROM subscription WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE
    ) locked;
    DELETE FROM clubs_period period USING unnest(ids) AS touched (id) CROSS JOIN LATERAL (
        -- Materialised, it is asked for neither an order nor dates, which the index of months has.
        WITH history AS MATERIALIZED (
            SELECT effect_date FROM subscription_status_history WHERE subscription_id = touched.id
        )
        SELECT ctid AS place FROM clubs_period
        WHERE subscription_id = touched.id AND starts_at NOT IN (
            SELECT effect_date FROM history WHERE effect_date IS NOT NULL
        )
        OFFSET 0
    ) gone
    WHERE period.ctid = gone.place;
    -- In the order of time, so that what was open is closed before anything else is opened.
    INSERT INTO clubs_period (subscription_id, club_id, status_id, starts_at, ends_at)
    SELECT touched.id, touched.club_id, status_id, starts_at, ends_at
    FROM unnest(ids, clubs) AS touched (id, club_id) CROSS JOIN LATERAL (
        WITH history AS MATERIALIZED (
            SELECT id, status_id, effect_date, create_date FROM subscription_status_history
            WHERE subscription_id = touched.id
        )
        SELECT compared.*, lag(is_kept, 1, true) OVER (ORDER BY starts_at) AS follows_kept
        FROM (
            SELECT should.*, (kept.club_id, kept.status_id, kept.ends_at)
                IS NOT DISTINCT FROM (touched.club_id, should.status_id, should.ends_at) AS is_kept
            FROM (
                -- Of several from the same instant the last one holds.
                SELECT status_id, effect_date AS starts_at, lead(effect_date) OVER (
                    ORDER BY effect_date, create_date NULLS FIRST, id
                ) AS ends_at
                FROM history WHERE effect_date IS NOT NULL
            ) should
            LEFT JOIN LATERAL (
                SELECT club_id, status_id, ends_at FROM clubs_period
                WHERE subscription_id = touched.id AND starts_at = should.starts_at
                LIMIT 1
            ) kept ON true
            WHERE should.starts_at IS DISTINCT FROM should.ends_at
        ) compared
    ) line
    -- Whatever changes, its neighbours are written too: two who do not see each other's rows
    -- (REPEATABLE READ) then meet in one of them, and the second fails.
    WHERE NOT (is_kept AND follows_kept)
    ON CONFLICT (subscription_id, starts_at) DO UPDATE
    SET club_id = excluded.club_id, status_id = excluded.status_id, ends_at = excluded.ends_at;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('clubs', '0002_incremental_periods'),
    ]

    operations = [
        migrations.RunSQL(REFRESH, before.REFRESH),
    ]
