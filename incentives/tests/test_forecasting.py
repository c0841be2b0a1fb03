"""The dry run."""

from datetime import date
from decimal import Decimal

import pytest

from conftest import ALICE, BOB, CHARLIE
from incentives.forecasting import forecast
from incentives.models import Achievement, Incentive, Rule, Waiting
from incentives.tests.worlds import STREAK, logged, member, offer, programme, work

pytestmark = pytest.mark.django_db


def draft(structure=STREAK, within=None, **terms):
    incentive = Incentive.objects.create(programme=within or programme(), slug="i", name="I")
    return Rule.objects.create(
        incentive=incentive, number=1, structure=structure, reward="Pillow", **terms
    )


def test_it_tells_awards_and_cost_and_writes_nothing():
    rule = draft(cost="45.50")
    for user_id, days in [(ALICE, range(1, 6)), (BOB, range(1, 5)), (CHARLIE, [])]:
        member(user_id)
        logged(user_id, days)
    before = Waiting.objects.count()
    told = forecast(Rule.objects.get())
    assert (told.members, told.members_with_events, told.members_awarded) == (3, 2, 1)
    assert (told.awards, told.capped, told.cost) == (1, 0, Decimal("45.50"))
    assert told.by_month == {date(2026, 6, 1): 1}
    assert [user_id for user_id, _ in told.examples] == [ALICE]
    assert (Achievement.objects.count(), Waiting.objects.count()) == (0, before)
    assert rule.published_at is None


def test_what_it_tells_is_what_publishing_brings():
    rule = draft(repeat="every", max_per_member=3, cool_down_days=7)
    for number in range(1, 30):
        member(str(number))
        logged(str(number), range(1, 1 + number))
    work()
    told = forecast(rule)
    rule.incentive.programme.incentives.filter(pk=rule.incentive_id).update(slug="draft")
    offer(repeat="every", max_per_member=3, cool_down_days=7, within=rule.incentive.programme)
    work()
    assert told.awards == Achievement.objects.count() > 29


def test_budget_and_cap_limit_it():
    for user_id in (ALICE, BOB, CHARLIE):
        member(user_id)
        logged(user_id, range(1, 6))
    told = forecast(draft(cost=40, within=programme(budget=100)))
    assert (told.awards, told.capped, int(told.cost)) == (2, 1, 80)
    told = forecast(draft(max_awards=1, within=programme("other")))
    assert (told.awards, told.capped) == (1, 2)
