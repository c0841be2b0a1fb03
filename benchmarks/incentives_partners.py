"""Partners: the feed published, read and sent, against the same without any bookkeeping."""

import os
import time
import uuid
from datetime import date
from functools import partial
from itertools import count

from django.db import connection
from django.test.utils import override_settings
from django.utils import timezone

from benchmarks import load, server
from benchmarks.report import heading, ratio
from common.models import ApiKey
from incentives import achievements, log
from incentives.models import (
    Achievement,
    Delivery,
    Employer,
    FeedEntry,
    Handover,
    Incentive,
    Partner,
    Partnership,
    Programme,
    Rule,
)
from incentives.partners import deliveries, endpoints, feed, signing, transport

ENTRIES = int(300 * float(os.environ.get("BENCH_SCALE", "1")))
PAGES = 10
users = count(1)


def run() -> None:
    partner = Partner.objects.create(slug="bench-partner", name="Bench")
    rule = released_to(partner)
    _, secret = ApiKey.issue(owner=partner.slug, scopes=["incentives.partner"])

    heading("Incentives: achievements handed to a partner per second")
    ratio(
        "published in the feed (ours : the numbers alone)",
        partial(published, partner, rule),
        partial(numbered, partner, rule),
    )
    bare_one = "benchmarks.bare_incentives:application"
    with server.ours_and(bare_one, BARE_STATEMENT=log.RECORD_ONE) as (ours, bare):
        for port in (bare, ours):
            load.run(port, reading(secret), seconds=2)
        ratio(
            "read in pages of 100 (ours : one statement)",
            partial(read, ours, secret),
            partial(read, bare, secret),
        )
    with (
        server.serving("benchmarks.bare_receiver:application") as port,
        override_settings(WEBHOOKS_TO_LOOPBACK=True),
    ):
        url = f"http://127.0.0.1:{port}/hook"
        endpoint, _ = endpoints.add_endpoint(partner=partner, url=url, now=timezone.now())
        ratio(
            "sent to one endpoint (ours : signing and sending alone)",
            partial(delivered, partner, rule, endpoint.pk),
            partial(sent, url),
        )


def released_to(partner: Partner) -> Rule:
    employer = Employer.objects.create(slug="partners", name="Partners", timezone="UTC")
    programme = Programme.objects.create(
        slug="partners", name="Partners", employer=employer, starts_on=date(2020, 1, 1)
    )
    Partnership.objects.create(programme=programme, partner=partner)
    incentive = Incentive.objects.create(programme=programme, slug="one", name="One")
    return Rule.objects.create(
        incentive=incentive,
        number=1,
        structure={"structure": "single", "event": "health_data_logged"},
        reward="Pillow",
        reward_code="PILLOW",
        published_at=timezone.now(),
    )


def earn(rule: Rule) -> None:
    now, today = timezone.now(), timezone.now().date()
    fresh = [
        Achievement(
            incentive=rule.incentive,
            rule=rule,
            user_id=str(5 * 10**9 + next(users)),
            ordinal=1,
            version=0,
            achieved_at=now,
            effective_on=today,
            granted_at=now,
            days=[today.isoformat()],
            reward=rule.reward,
            reward_code=rule.reward_code,
        )
        for _ in range(ENTRIES)
    ]
    changes = [
        achievements.step(each, status, by=achievements.RULES, now=now)
        for each in fresh
        for status in achievements.first_steps(each)
    ]
    achievements.write(fresh, are_new=True)
    achievements.record(changes)


def published(partner: Partner, rule: Rule) -> float:
    earn(rule)
    started = time.perf_counter()
    assert feed.publish(partner.pk, now=timezone.now()) == ENTRIES
    return ENTRIES / (time.perf_counter() - started)


# What somebody would write who had one programme, nothing to compare with and no webhooks.
NUMBER = """
WITH partner AS (
    SELECT id, last_sequence FROM incentives_partner WHERE id = %(partner)s FOR NO KEY UPDATE
), taken AS (
    DELETE FROM incentives_handover RETURNING achievement_id
), numbered AS (
    SELECT achievement.*, row_number() OVER () + partner.last_sequence AS sequence
    FROM taken JOIN incentives_achievement achievement ON achievement.id = taken.achievement_id
    CROSS JOIN partner
), named AS (
    INSERT INTO incentives_partnermember (partner_id, user_id, pseudonym)
    SELECT %(partner)s, user_id, gen_random_uuid() FROM numbered RETURNING id, user_id
), written AS (
    INSERT INTO incentives_feedentry (partner_id, sequence, achievement_id, version, member_id,
        partnership_id, reward_code, effective_on, status, published_at)
    SELECT %(partner)s, sequence, numbered.id, 1, named.id, partnership.id, reward_code,
           effective_on, 'granted', now()
    FROM numbered JOIN named USING (user_id)
    CROSS JOIN (SELECT id FROM incentives_partnership WHERE partner_id = %(partner)s) partnership
    RETURNING sequence
)
UPDATE incentives_partner SET last_sequence = (SELECT max(sequence) FROM written)
WHERE id = %(partner)s
"""


def numbered(partner: Partner, rule: Rule) -> float:
    earn(rule)
    before = FeedEntry.objects.count()
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(NUMBER, {"partner": partner.pk})
    took = time.perf_counter() - started
    assert FeedEntry.objects.count() == before + ENTRIES
    assert not Handover.objects.exists()
    return ENTRIES / took


def reading(secret: str) -> load.Request:
    def request(number: int) -> bytes:
        return load.get(
            f"/api/v1/incentives/partner/achievements/?after={number % PAGES * 100}",
            Authorization=f"Bearer {secret}",
        )

    return request


def read(port: int, secret: str) -> float:
    result = load.run(port, reading(secret))
    assert set(result.statuses) == {200}, result.statuses
    return 100 * result.rate


def delivered(partner: Partner, rule: Rule, endpoint: int) -> float:
    earn(rule)
    feed.publish(partner.pk, now=timezone.now())
    waiting = Delivery.objects.filter(endpoint=endpoint, state=Delivery.State.PENDING)
    assert waiting.count() == ENTRIES
    started = time.perf_counter()
    while waiting.exists():
        deliveries.deliver_due(endpoint)
    took = time.perf_counter() - started
    assert not Delivery.objects.exclude(state=Delivery.State.DELIVERED).exists()
    return ENTRIES / took


def sent(url: str) -> float:
    salt, now = signing.new_salt(), timezone.now()
    body = "x" * 330  # as long as a message is
    started = time.perf_counter()
    with transport.Line(url) as line:
        for _ in range(ENTRIES):
            secret = signing.secret_of(salt)
            headers = signing.signed_headers(f"msg_{uuid.uuid4().hex}", now, body, [secret])
            assert line.post(body.encode(), headers, seconds=15).status == 200
    return ENTRIES / (time.perf_counter() - started)
