"""GET /benefits/top/: the three most used benefits of every venue, exact at both ends."""

from datetime import timedelta

import pytest
from django.db import connection

from benefits import popularity
from benefits.models import Benefit, BenefitUsage, Venue
from benefits.tests.factories import NOW, TICK, W0, benefit, person, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
PATH = "/api/v1/benefits/top/"


@pytest.fixture(autouse=True)
def alice():
    return person()


def top(till):
    response = till.get(PATH)
    assert response.status_code == 200
    return response.json()


def best(till):
    """Of the only venue: pairs of benefit and count."""
    (venue,) = top(till)
    return [(each["benefitId"], each["usageCount"]) for each in venue["topBenefits180Days"]]


def days_ago(number):
    return NOW - timedelta(days=number)


def test_every_venue_is_there_by_id_with_these_fields(till):
    later, empty = Venue.objects.create(id=9, name="Gym"), Venue.objects.create(id=5, name="None")
    coffee = benefit(venue=later)
    used(coffee, NOW)
    assert top(till) == [
        {"venueId": empty.pk, "topBenefits180Days": []},
        {"venueId": 9, "topBenefits180Days": [{"benefitId": coffee.pk, "usageCount": 1}]},
    ]


def test_without_venues_the_list_is_empty(till):
    assert top(till) == []


def test_most_used_first_and_at_most_three(till):
    venue = Venue.objects.create(name="Gym")
    benefits = {n: benefit(venue=venue, title=str(n)) for n in (2, 1, 5, 3)}
    for number, each in benefits.items():
        used(each, *map(days_ago, range(number)))
    assert best(till) == [(benefits[n].pk, n) for n in (5, 3, 2)]


def test_unused_benefits_fill_no_place(till):
    venue = Venue.objects.create(name="Gym")
    five = [benefit(venue=venue, title=str(n)) for n in range(5)]
    used(five[3], NOW)
    assert best(till) == [(five[3].pk, 1)]


def test_ties_go_to_the_lower_id_and_never_exceed_three(till):
    venue = Venue.objects.create(name="Gym")
    five = [benefit(venue=venue, title=str(n)) for n in range(5)]
    for each in reversed(five):
        used(each, days_ago(1), days_ago(20))
    assert best(till) == [(each.pk, 2) for each in five[:3]]


def test_venues_of_one_name_are_two(till):
    for _ in range(2):
        used(benefit(venue=Venue.objects.create(name="Cinema")), NOW)
    assert len(top(till)) == 2


@pytest.mark.parametrize(
    ("moment", "count"),
    [(W0 - TICK, 0), (W0, 1), (W0 + TICK, 1), (NOW - TICK, 1), (NOW, 1), (NOW + TICK, 0)],
)
@pytest.mark.parametrize("hours", [0, 1, 13.5, 23.99])
def test_the_window_is_closed_at_both_ends(till, set_clock, moment, count, hours):
    shift = timedelta(hours=hours)
    set_clock(NOW + shift)
    coffee = benefit()
    used(coffee, moment + shift)
    assert best(till) == ([(coffee.pk, 1)] if count else [])


def test_days_that_the_window_cuts_count_in_part(till, set_clock):
    set_clock(NOW + timedelta(hours=12))
    coffee, start = benefit(), W0 + timedelta(hours=12)
    inside = [start, start + TICK, start + timedelta(hours=11), NOW, NOW + timedelta(hours=12)]
    outside = [start - TICK, start - timedelta(hours=12), NOW + timedelta(hours=12) + TICK]
    used(coffee, *inside, *outside)
    assert best(till) == [(coffee.pk, len(inside))]


def test_a_cut_day_decides_who_is_among_the_best(till, set_clock):
    set_clock(NOW + timedelta(hours=12))
    venue = Venue.objects.create(name="Gym")
    start = W0 + timedelta(hours=12)
    a, b, c, d = (benefit(venue=venue, title=str(n)) for n in range(4))
    for each in (a, b, c):
        used(each, *map(days_ago, range(1, 4)))
    # Three by its whole days and two before the window; and one whole day with three in the cut.
    used(c, start - TICK, start - TICK)
    used(d, days_ago(5), start, start + TICK, start + 2 * TICK)
    assert best(till) == [(d.pk, 4), (a.pk, 3), (b.pk, 3)]


def test_uses_before_its_creation_count(till):
    coffee = benefit(created_at=days_ago(2))
    used(coffee, days_ago(30))
    assert best(till) == [(coffee.pk, 1)]


def test_a_hundred_uses_by_one_person_are_a_hundred(till):
    coffee = benefit()
    used(coffee, *(days_ago(n) for n in range(100)))
    assert best(till) == [(coffee.pk, 100)]


def test_what_is_deleted_moved_or_given_to_another_benefit_no_longer_counts(till):
    coffee = benefit()
    tea = benefit(venue=coffee.venue, title="Tea")
    used(coffee, *(days_ago(n) for n in range(5)))
    BenefitUsage.objects.filter(usage_timestamp=days_ago(0)).delete()
    BenefitUsage.objects.filter(usage_timestamp=days_ago(1)).update(benefit=tea)
    BenefitUsage.objects.filter(usage_timestamp=days_ago(2)).update(usage_timestamp=W0 - TICK)
    assert best(till) == [(coffee.pk, 2), (tea.pk, 1)]


def test_a_benefit_moves_with_its_uses(till):
    coffee = benefit()
    used(coffee, NOW)
    other = Venue.objects.create(name="Gym")
    Benefit.objects.update(venue=other)
    assert [len(each["topBenefits180Days"]) for each in top(till)] == [0, 1]


def test_the_page_of_one_venue_says_the_same(till):
    for venue in (Venue.objects.create(name=name) for name in ("Gym", "Library")):
        for number in range(4):
            used(benefit(venue=venue, title=str(number)), *map(days_ago, range(number + 1)))
    for id, popular in popularity.top(now=NOW):
        assert popularity.top_of(id, now=NOW) == popular
        assert [each.uses for each in popular] == [4, 3, 2]


def test_it_is_one_query_however_many_venues(till, django_assert_num_queries):
    for _ in range(20):
        used(benefit(), NOW)
    with django_assert_num_queries(1):
        assert len(top(till)) == 20


def test_a_session_in_another_zone_counts_the_same(till):
    coffee = benefit()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Pacific/Auckland'")
    used(coffee, W0, W0 - TICK, NOW, NOW + TICK)
    assert best(till) == [(coffee.pk, 2)]


def test_it_takes_no_parameters(till):
    assert till.get(f"{PATH}?venueId=1").status_code == 400
    assert till.post(PATH).status_code == 405
