"""Random decisions, against a model that knows which pause each return belongs to."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import pytest

from clubs import services
from clubs.models import Period, StatusChange
from clubs.tests.factories import (
    ACTIVE,
    CANCELLED,
    DAY,
    INACTIVE,
    PAUSED,
    make_club,
    make_subscription,
    set_club,
)
from common.problems import Problem

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Row:
    effect: datetime
    number: int
    status: int
    returns_from: datetime | None = None  # of a planned return: when its pause began


@dataclass
class Model:
    rows: list[Row] = field(default_factory=list)
    club_is_active: bool = True

    def status(self, at: datetime) -> int | None:
        past = [row for row in self.rows if row.effect <= at]
        return max(past, key=lambda row: (row.effect, row.number)).status if past else None

    def decide(self, status: int, at: datetime, interval: int | None, now: datetime) -> str | None:
        """What it is refused with, None when it was recorded."""
        kept = []
        for row in self.rows:
            ends = row.returns_from is not None and row.returns_from <= at <= row.effect
            is_over = status == CANCELLED and row.effect > at
            if not (row.effect > now and (ends or is_over)):
                kept.append(row)
        is_cancelled = CANCELLED in (self.status(now), self.status(at))
        if status == PAUSED and is_cancelled:
            return "subscription-cancelled"
        end = at + (interval or 0) * DAY
        if interval and any(at < row.effect <= end for row in kept):
            return "overlaps-another-decision"
        if status == ACTIVE and is_cancelled and not self.club_is_active:
            return "club-not-active"
        number = max((row.number for row in self.rows), default=0) + 1
        self.rows = [*kept, Row(at, number, status)]
        if interval:
            self.rows.append(Row(end, number + 1, ACTIVE, returns_from=at))
        return None


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(25))
def test_random_decisions_mean_what_the_model_says(seed):
    random, model = Random(seed), Model()
    club = make_club(at=START - 5 * DAY)
    subscription = make_subscription(club, (ACTIVE, START))
    subscription.history.update(create_date=START)
    model.rows.append(Row(START, 0, ACTIVE))
    now = START
    for _ in range(12):
        # On a grid, so that dates meet: before, at and after what is planned.
        now += timedelta(hours=random.choice([1, 24, 24, 48, 240]))
        if model.club_is_active and random.random() < 0.1:
            model.club_is_active = False
            set_club(club, INACTIVE, now)
        status = random.choice([ACTIVE, CANCELLED, PAUSED, PAUSED, PAUSED])
        day = random.choice([0, 0, -3, -1, 1, 2, 5, 10, 20])
        at = now + day * DAY
        interval = random.choice([None, 1, 3, 5, 10, 30]) if status == PAUSED else None
        try:
            services.change_status(
                subscription_id=subscription.pk,
                status_id=status,
                effect_date=at if day else None,
                interval=interval,
                clock=partial(return_it, now),
            )
            refusal = None
        except Problem as problem:
            refusal = problem.code
        # A club that closes in the past of its decision is another subject (test_status_api.py).
        assert refusal == model.decide(status, at, interval, now), (seed, now, status, at, interval)
        assert_same(subscription, model)


def return_it(moment):
    return moment


def assert_same(subscription, model):
    history = StatusChange.objects.filter(subscription=subscription)
    moments = {START - DAY, START + 400 * DAY}
    for row in model.rows:
        moments |= {row.effect + timedelta(microseconds=off) for off in (-1, 0, 1)}
    for moment in moments:
        expected = model.status(moment)
        assert services.status_at(history, moment) == expected
        period = Period.objects.filter(subscription=subscription).covering(moment).first()
        assert (period and period.status_id) == expected
    assert history.count() == len(model.rows)
