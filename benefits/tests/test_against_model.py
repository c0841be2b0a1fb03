"""Random histories, against plain Python that reads the rules one by one."""

import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from rest_framework.test import APIClient

from benefits import activity, availability, idleness, popularity
from benefits.models import Benefit, BenefitUsage, Person, Venue
from benefits.recurrence import Recurrence
from benefits.tests.factories import NOW, TICK, iso, record

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)
WINDOW = 180 * DAY
IDLE = {"day": 14 * DAY, "week": 21 * DAY, "month": 30 * DAY}
SPAN = {"day": 1 * DAY, "week": 7 * DAY, "month": 30 * DAY}


class World:
    """Two venues, eight benefits, three persons, and uses that like to lie on an edge."""

    def __init__(self, seed, count):
        self.source = random.Random(seed)
        self.now = NOW + timedelta(microseconds=self.source.choice([0, 1, 43_200_000_001, -1]))
        self.venues = [Venue.objects.create(name=name) for name in ("Gym", "Library")]
        self.persons = [Person.objects.create(name=name) for name in "abc"]
        self.benefits = [
            Benefit.objects.create(
                venue=self.venues[number % 2],
                title=str(number),
                recurrence=self.source.choice(list(Recurrence)),
                created_at=self.now - self.source.choice([1000, 180, 90, 20, 14, 0, -3]) * DAY,
            )
            for number in range(8)
        ]
        self.uses = [
            (self.source.choice(self.persons), self.benefit(), self.moment()) for _ in range(count)
        ]
        self.source.shuffle(self.uses)
        folded = self.source.randrange(count)
        self.write(self.uses[:folded])
        activity.fold()
        self.write(self.uses[folded:])

    def write(self, uses):
        BenefitUsage.objects.bulk_create(
            BenefitUsage(person=who, benefit=what, usage_timestamp=at) for who, what, at in uses
        )

    def benefit(self):
        return self.benefits[min(self.source.randrange(8), self.source.randrange(8))]

    def moment(self):
        edges = [0, 1, 7, 14, 21, 30, 90, 159, 166, 180, 181]
        nudge = TICK * self.source.randrange(-1, 2)
        if self.source.random() < 0.5:
            return self.now - self.source.choice(edges) * DAY + nudge
        return self.now - timedelta(microseconds=self.source.randrange(-2 * 10**11, 16 * 10**12))


def top(world):
    for venue in world.venues:
        counts = Counter(
            what.pk
            for _, what, at in world.uses
            if what.venue == venue and world.now - WINDOW <= at <= world.now
        )
        yield venue.pk, sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]


def inactivity(world, venue):
    for what in world.benefits:
        start = max(world.now - WINDOW, what.created_at)
        mine = [at for _, used, at in world.uses if used == what and start <= at <= world.now]
        moments = [start, *sorted(mine), world.now]
        gaps = [pair for pair in pairwise(moments) if pair[1] - pair[0] >= IDLE[what.recurrence]]
        if gaps and what.venue == venue:
            yield what.pk, gaps


def distances(world, who, what, at):
    """Of this person's uses of it, from `at`."""
    return [used - at for w, b, used in world.uses if (w, b) == (who, what)]


def available(world, who, venue, at):
    for what in world.benefits:
        near = [d for d in distances(world, who, what, at) if -SPAN[what.recurrence] < d <= 0 * DAY]
        if what.venue == venue and not near:
            yield what.pk


def first_free(world, who, what, at):
    span = SPAN[what.recurrence]
    mine = [used for w, b, used in world.uses if (w, b) == (who, what)]
    for moment in sorted([at, *(used + span for used in mine if used + span >= at)]):
        if all(abs(used - moment) >= span for used in mine):
            return moment
    raise AssertionError


@pytest.mark.parametrize("seed", range(40))
def test_the_three_reads_say_what_the_model_says(seed):
    world = World(seed, count=[5, 40, 150, 600][seed % 4])
    assert [(venue, list(best)) for venue, best in popularity.top(now=world.now)] == list(
        top(world)
    )
    for venue in world.venues:
        found = idleness.inactivity(venue=venue.pk, now=world.now)
        assert found == list(inactivity(world, venue))
        for who in world.persons:
            for at in (world.now, world.moment(), world.moment()):
                listed = availability.available(person=who.pk, venue=venue.pk, at=at)
                assert [id for id, *_ in listed] == list(available(world, who, venue, at))


@pytest.mark.parametrize("seed", range(20))
def test_the_next_time_is_what_the_model_says(seed):
    world = World(seed, count=[40, 200][seed % 2])
    for who in world.persons:
        for venue in world.venues:
            at = world.moment()
            offers = availability.offers(person=who.pk, venue=venue.pk, at=at)
            usable = set(available(world, who, venue, at))
            for offer in offers:
                what = Benefit.objects.get(pk=offer.id)
                assert offer.available_at == first_free(world, who, what, at)
                assert offer.is_available is (offer.id in usable)


@pytest.mark.parametrize("seed", range(20))
def test_listed_as_available_is_what_recording_then_takes(seed, set_clock):
    """Both ways, where the person has no later use within one recurrence."""
    world = World(seed, count=[20, 150][seed % 2])
    set_clock(world.now)
    till, outcomes = APIClient(), Counter()
    for _ in range(60):
        who, what = world.source.choice(world.persons), world.source.choice(world.benefits)
        at = min(world.moment(), world.now)
        query = f"personId={who.pk}&venueId={what.venue_id}&timestamp={iso(at)}"
        listed = [each["id"] for each in till.get(f"/api/v1/benefits/available/?{query}").json()]
        later = [d for d in distances(world, who, what, at) if 0 * DAY < d < SPAN[what.recurrence]]
        answer = record(till, what, who, usageTimestamp=iso(at))
        outcomes[answer.status_code] += 1
        if not later:
            assert (answer.status_code == 201) is (what.pk in listed)
        if answer.status_code == 201:
            assert not later
            world.uses.append((who, what, at))
        told = answer.json()["availableAt"]
        assert told == iso(first_free(world, who, what, at))
        if answer.status_code == 409 and told <= iso(world.now):
            assert record(till, what, who, usageTimestamp=told).status_code == 201
            world.uses.append((who, what, NOW.fromisoformat(told)))
    assert set(outcomes) == {201, 409}
