"""A partner's feed: each change once, numbered without a gap, whatever happens around it."""

import threading
from datetime import date
from itertools import pairwise

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from common.tests.races import at_once
from common.tests.running import wait_for
from conftest import ALICE, BOB, CHARLIE
from incentives import achievements
from incentives.models import (
    Achievement,
    FeedEntry,
    Handover,
    Partner,
    PartnerMember,
    Partnership,
)
from incentives.partners import deliveries, feed
from incentives.partners.contract import FIELDS, line
from incentives.partners.tests.factories import (
    NOON,
    earn,
    make_partner,
    make_programme,
    make_rule,
    take_back,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return make_partner()


@pytest.fixture
def rule(partner):
    return make_rule(make_programme(partner))


@pytest.fixture
def sensitive(partner):
    return make_rule(make_programme(partner), is_sensitive=True)


def told(partner="rewards-co", after=0):
    return [line(entry) for entry in feed.entries_after(partner, after)]


def steps(partner="rewards-co"):
    return [(each["sequence"], each["status"], each["version"]) for each in told(partner)]


def say_consent(achievement, is_given):
    achievements.consent(
        id=achievement.pk, user_id=achievement.user_id, is_given=is_given, now=NOON
    )


# What is told


def test_what_is_released_is_told_once(partner, rule):
    earned = earn(rule, ALICE)
    assert feed.publish_all(now=NOON) == 1
    assert feed.publish_all(now=NOON) == 0
    (found,) = told()
    assert found == {
        "id": str(earned.pk),
        "sequence": 1,
        "member": str(PartnerMember.objects.get().pseudonym),
        "reward_code": "RW-7Q2K",
        "programme": rule.incentive.programme.slug,
        "effective_date": "2026-11-19",
        "status": "granted",
        "version": 1,
    }
    assert tuple(found) == FIELDS
    assert not Handover.objects.exists()


def test_what_waits_for_consent_is_not_told_and_leaves_no_number(partner, rule, sensitive):
    secret = earn(sensitive, ALICE)
    earn(rule, BOB)
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1)]
    say_consent(secret, False)
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1)]


def test_consent_releases_withdrawal_reverses_and_consent_again_grants(partner, sensitive):
    secret = earn(sensitive, ALICE)
    for is_given in [True, False, True]:
        say_consent(secret, is_given)
        feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1), (2, "reversed", 2), (3, "granted", 3)]
    assert {each["id"] for each in told()} == {str(secret.pk)}


def test_what_was_withdrawn_before_anybody_looked_is_never_told(partner, sensitive):
    secret = earn(sensitive, ALICE)
    say_consent(secret, True)
    say_consent(secret, False)
    feed.publish_all(now=NOON)
    assert told() == []
    say_consent(secret, True)
    feed.publish_all(now=NOON)
    say_consent(secret, False)
    say_consent(secret, True)
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1)]


def test_a_reversal_comes_after_its_grant_with_a_higher_version(partner, rule):
    earned = earn(rule, ALICE)
    feed.publish_all(now=NOON)
    take_back(earned)
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1), (2, "reversed", 2)]


def test_what_the_partner_said_itself_is_no_news(partner, rule):
    for user, is_fulfilled in [(ALICE, True), (BOB, False)]:
        earned = earn(rule, user)
        feed.publish_all(now=NOON)
        achievements.fulfil(id=earned.pk, is_fulfilled=is_fulfilled, by="partner:x", now=NOON)
    feed.publish_all(now=NOON)
    assert len(told()) == 2


def test_a_corrected_day_is_told_with_a_higher_version(partner, rule):
    earned = earn(rule, ALICE)
    feed.publish_all(now=NOON)
    Achievement.objects.filter(pk=earned.pk).update(
        effective_on=date(2026, 11, 17), version=earned.version + 1
    )
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1), (2, "granted", 2)]
    assert told()[1]["effective_date"] == "2026-11-17"


def test_a_reward_that_became_another_is_told_and_one_that_became_coins_is_reversed(partner, rule):
    earned = earn(rule, ALICE)
    feed.publish_all(now=NOON)
    for version, code in [(7, "RW-OTHER"), (8, "")]:
        Achievement.objects.filter(pk=earned.pk).update(reward_code=code, version=version)
        feed.publish_all(now=NOON)
    assert [(each["status"], each["reward_code"]) for each in told()] == [
        ("granted", "RW-7Q2K"),
        ("granted", "RW-OTHER"),
        ("reversed", "RW-OTHER"),
    ]


def test_the_day_of_what_is_sensitive_stays_in_the_house(partner, sensitive):
    secret = earn(sensitive, ALICE, effective_on=date(2026, 10, 3))
    say_consent(secret, True)
    feed.publish_all(now=NOON)
    Achievement.objects.filter(pk=secret.pk).update(
        effective_on=date(2026, 10, 2), version=secret.version + 9
    )
    feed.publish_all(now=NOON)
    # The day it was first told, in the employer's zone.
    assert [each["effective_date"] for each in told()] == ["2026-11-20"]


def test_coins_and_what_no_budget_was_left_for_are_no_partners_business(partner):
    programme = make_programme(partner)
    coins = make_rule(programme, reward_code="", coins=10)
    earn(coins, ALICE)
    capped = earn(make_rule(programme), BOB)
    Achievement.objects.filter(pk=capped.pk).update(status=Achievement.Status.CAPPED)
    feed.publish_all(now=NOON)
    assert told() == []


def test_a_row_that_came_by_plain_sql_is_told_like_any_other(partner, rule):
    earn(rule, ALICE)
    feed.publish_all(now=NOON)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO incentives_achievement
            (id, incentive_id, rule_id, user_id, ordinal, status, version, achieved_at,
             effective_on, granted_at, days, needs_review, reward, reward_code, coins, cost)
            SELECT gen_random_uuid(), incentive_id, rule_id, %s, 1, status, version, achieved_at,
             effective_on, granted_at, days, needs_review, reward, reward_code, coins, cost
            FROM incentives_achievement
            """,
            [BOB],
        )
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1), (2, "granted", 1)]


def test_what_was_earned_before_its_programme_had_a_partner_waits_for_one(partner):
    rule = make_rule(make_programme())
    earn(rule, ALICE)
    feed.publish_all(now=NOON)
    assert Handover.objects.count() == 1
    Partnership.objects.create(programme=rule.incentive.programme, partner=partner)
    feed.publish_all(now=NOON)
    assert len(told()) == 1


# Who is who


def test_a_member_has_one_name_with_each_partner_and_another_with_the_next(partner, rule):
    other = make_partner("shop-two")
    elsewhere = make_rule(make_programme(other))
    for each in [rule, make_rule(rule.incentive.programme), elsewhere]:
        earn(each, ALICE)
    earn(rule, BOB)
    feed.publish_all(now=NOON)
    first, second, bob = (each["member"] for each in told())
    (there,) = (each["member"] for each in told("shop-two"))
    assert first == second
    assert len({first, there, bob, ALICE, BOB}) == 5


def test_each_partner_counts_for_itself_and_sees_its_own_alone(partner, rule):
    elsewhere = make_rule(make_programme(make_partner("shop-two")))
    for user in [ALICE, BOB, CHARLIE]:
        earn(rule, user)
    earn(elsewhere, ALICE)
    feed.publish_all(now=NOON)
    assert [each["sequence"] for each in told()] == [1, 2, 3]
    assert [each["sequence"] for each in told("shop-two")] == [1]
    assert not {each["id"] for each in told()} & {each["id"] for each in told("shop-two")}
    assert not {each["programme"] for each in told()} & {
        each["programme"] for each in told("shop-two")
    }


# What the database holds on to


def test_an_entry_is_for_ever(partner, rule):
    earn(rule, ALICE)
    feed.publish_all(now=NOON)
    for change in [
        lambda: FeedEntry.objects.update(status="reversed"),
        lambda: FeedEntry.objects.all().delete(),
        lambda: Partnership.objects.update(partner=partner),
        lambda: PartnerMember.objects.update(pseudonym="11111111-1111-4111-8111-111111111111"),
        lambda: Partner.objects.update(slug="renamed"),
    ]:
        with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
            change()


def test_a_code_that_says_something_is_refused_by_the_database(partner):
    programme = make_programme(partner)
    for code in ["pillow", "A", "=CMD", "RW 1234", "RW-1234\n", "ＲＷ-1234"]:
        with (
            pytest.raises(IntegrityError, match="reward_code_opaque"),
            transaction.atomic(),
        ):
            make_rule(programme, reward_code=code)


def test_a_feed_costs_a_fixed_number_of_queries(partner, rule, django_assert_num_queries):
    for few_or_many in [2, 60]:
        for user in range(1, few_or_many):
            earn(rule, str(few_or_many * 1000 + user))
        with django_assert_num_queries(17):
            feed.publish_all(now=NOON)
    with django_assert_num_queries(1):
        assert len(told()) == 60


# Two at once, and half-way


def test_a_publication_that_fails_leaves_nothing_behind(partner, rule, monkeypatch):
    earn(rule, ALICE)

    def fail(*arguments, **options):
        raise OSError("no room left")

    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "enqueue", fail)
        with pytest.raises(OSError, match="no room"):
            feed.publish_all(now=NOON)
    assert told() == []
    assert Partner.objects.get().last_sequence == 0
    assert Handover.objects.count() == 1
    feed.publish_all(now=NOON)
    assert steps() == [(1, "granted", 1)]


@pytest.mark.django_db(transaction=True)
def test_many_publishers_at_once_leave_no_gap_and_tell_nothing_twice(monkeypatch):
    monkeypatch.setattr(feed, "BATCH", 7)
    rule = make_rule(make_programme(make_partner()))
    for user in range(1, 41):
        earn(rule, str(user))
    done = at_once([lambda: feed.publish_all(now=NOON)] * 6)
    assert sum(done) + feed.publish_all(now=NOON) == 40
    assert [each["sequence"] for each in told()] == list(range(1, 41))
    assert len({each["id"] for each in told()}) == 40


@pytest.mark.django_db(transaction=True)
def test_a_reader_never_sees_a_number_before_a_smaller_one(monkeypatch):
    """Writers, publishers and a reader with a cursor, all at once: the reader gets everything."""
    monkeypatch.setattr(feed, "BATCH", 3)
    rule = make_rule(make_programme(make_partner()))
    is_over = threading.Event()

    def write(first):
        for user in range(first, first + 20):
            earned = earn(rule, str(user))
            if user % 3 == 0:
                take_back(earned)

    def publish():
        while not is_over.is_set():
            feed.publish_all(now=NOON)

    def read():
        seen, cursor = [], 0
        while not (is_over.is_set() and not told(after=cursor)):
            page = told(after=cursor)[:5]
            seen += page
            cursor = page[-1]["sequence"] if page else cursor
        return seen

    def write_all():
        writers = [threading.Thread(target=write_and_close, args=[n]) for n in (1, 101, 201)]
        try:
            for thread in writers:
                thread.start()
            for thread in writers:
                thread.join()
            wait_for(lambda: not Handover.objects.exists())
        finally:
            is_over.set()

    def write_and_close(first):
        try:
            write(first)
        finally:
            connection.close()

    _, _, _, seen = at_once([write_all, publish, publish, read])
    assert [each["sequence"] for each in seen] == list(range(1, len(seen) + 1))
    assert seen == told()
    for achievement in Achievement.objects.all():
        mine = [each for each in seen if each["id"] == str(achievement.pk)]
        assert all(b["version"] == a["version"] + 1 for a, b in pairwise(mine))
        is_reversed = achievement.status == Achievement.Status.REVERSED
        assert [each["status"] for each in mine][-1:] in (
            [["reversed"], []] if is_reversed else [["granted"]]
        )
