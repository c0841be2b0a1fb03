"""Periods that are changed where they change, by one plan for one row and for millions.

Derived as they are, they are not converted but worked out again, in both directions.
"""

import django.db.models.deletion
from django.db import migrations, models

REFRESH = """
CREATE OR REPLACE FUNCTION clubs_refresh_periods(ids varchar[]) RETURNS void LANGUAGE plpgsql
-- The plan goes from subscription to subscription, and is made once in a session: also for the
-- million rows after the first one, and whatever the tables were like when that came.
SET enable_seqscan = off
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
    DELETE FROM clubs_period period USING unnest(ids) AS touched (id)
    WHERE period.subscription_id = touched.id AND starts_at <> ALL (ARRAY(
        SELECT effect_date FROM subscription_status_history
        WHERE subscription_id = touched.id AND effect_date IS NOT NULL
    ));
    -- In the order of time, so that what was open is closed before anything else is opened.
    INSERT INTO clubs_period (subscription_id, club_id, status_id, starts_at, ends_at)
    SELECT touched.id, touched.club_id, status_id, starts_at, ends_at
    FROM unnest(ids, clubs) AS touched (id, club_id) CROSS JOIN LATERAL (
        SELECT compared.*, lag(is_kept, 1, true) OVER (ORDER BY starts_at) AS follows_kept
        FROM (
            SELECT should.*, (kept.club_id, kept.status_id, kept.ends_at)
                IS NOT DISTINCT FROM (touched.club_id, should.status_id, should.ends_at) AS is_kept
            FROM (
                -- Of several from the same instant the last one holds.
                SELECT status_id, effect_date AS starts_at, lead(effect_date) OVER (
                    ORDER BY effect_date, create_date NULLS FIRST, id
                ) AS ends_at
                FROM subscription_status_history
                WHERE subscription_id = touched.id AND effect_date IS NOT NULL
            ) should
            LEFT JOIN clubs_period kept
                ON kept.subscription_id = touched.id AND kept.starts_at = should.starts_at
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

REFRESH_BEFORE = """
CREATE OR REPLACE FUNCTION clubs_refresh_periods(ids varchar[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;
    -- Of two at once on one subscription the second waits, and then sees the first one's rows.
    PERFORM FROM subscription WHERE id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
    DELETE FROM clubs_period WHERE subscription_id = ANY (ids);
    INSERT INTO clubs_period (subscription_id, club_id, status_id, starts_at, ends_at)
    SELECT subscription_id, club_id, status_id, effect_date,
           lead(effect_date) OVER (PARTITION BY subscription_id ORDER BY effect_date)
    FROM (
        SELECT DISTINCT ON (history.subscription_id, effect_date)
               history.subscription_id, club_id, status_id, effect_date
        FROM subscription_status_history history
        JOIN subscription ON subscription.id = history.subscription_id
        WHERE history.subscription_id = ANY (ids) AND effect_date IS NOT NULL
        ORDER BY history.subscription_id, effect_date,
                 history.create_date DESC NULLS LAST, history.id DESC
    ) holding;
END $$;
"""

FILL = "SELECT clubs_refresh_periods(array(SELECT id FROM subscription));"

# Made by Django for LIKE in other collations; nobody asks so, and each row had to be put in.
UNUSED_INDEXES = {
    "subscription_id_183bce57_like": "subscription (id varchar_pattern_ops)",
    "clubs_charge_request_id_0b4f80ef_like": "clubs_charge (request_id varchar_pattern_ops)",
    "clubs_charge_subscription_id_c9f6efa9_like": "clubs_charge (subscription_id varchar_pattern_ops)",
    "clubs_removedchange_subscription_id_75967e74_like": "clubs_removedchange (subscription_id varchar_pattern_ops)",
}
DROP_INDEXES = "".join(f"DROP INDEX {name};" for name in UNUSED_INDEXES)
CREATE_INDEXES = "".join(f"CREATE INDEX {name} ON {on};" for name, on in UNUSED_INDEXES.items())


class Migration(migrations.Migration):

    dependencies = [
        ('clubs', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL(migrations.RunSQL.noop, REFRESH_BEFORE + FILL),
        migrations.DeleteModel(name='Period'),
        migrations.CreateModel(
            name='Period',
            fields=[
                ('pk', models.CompositePrimaryKey('subscription_id', 'starts_at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField(null=True)),
                ('club', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='clubs.club')),
                ('status', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='clubs.status')),
                ('subscription', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='periods', to='clubs.subscription')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('status', 1)), fields=['subscription'], include=('club', 'starts_at', 'ends_at'), name='clubs_period_active')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ends_at', None)), fields=('subscription',), name='clubs_period_one_is_open')],
            },
        ),
        migrations.RunSQL(REFRESH + FILL, migrations.RunSQL.noop),
        migrations.RunSQL(DROP_INDEXES, CREATE_INDEXES),
    ]
