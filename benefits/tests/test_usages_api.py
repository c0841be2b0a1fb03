"""POST /benefits/{id}/usages/: free on both sides, once for each key, never twice at once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from benefits.models import BenefitUsage
from benefits.tests.factories import NOW, TICK, benefit, iso, person, record, used

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)
SPANS = [("day", DAY), ("week", 7 * DAY), ("month", 30 * DAY)]


@pytest.fixture
def alice():
    return person()


def moments(what):
    return sorted(what.usages.values_list("usage_timestamp", flat=True))


def test_it_answers_what_was_recorded(till, alice, at_now):
    coffee = benefit()
    response = record(till, coffee, alice)
    assert response.status_code == 201
    assert response.json() == {
        "id": BenefitUsage.objects.get().pk,
        "personId": alice.pk,
        "benefitId": coffee.pk,
        "usageTimestamp": iso(NOW),
        "availableAt": iso(NOW + DAY),
    }
    assert moments(coffee) == [NOW]


@pytest.mark.parametrize(("recurrence", "span"), SPANS)
def test_one_recurrence_lies_between_two_uses_on_both_sides(till, alice, at_now, recurrence, span):
    massage = benefit(recurrence)
    middle = NOW - 100 * DAY
    assert record(till, massage, alice, usageTimestamp=iso(middle)).status_code == 201
    for distance in (TICK - span, -TICK, 0 * TICK, TICK, span - TICK):
        too_near = middle + distance
        refused = record(till, massage, alice, usageTimestamp=iso(too_near))
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:problem:benefit-not-available"
        assert refused.json()["availableAt"] == iso(middle + span)
    assert record(till, massage, alice, usageTimestamp=iso(middle - span)).status_code == 201
    assert record(till, massage, alice, usageTimestamp=iso(middle + span)).status_code == 201
    assert moments(massage) == [middle - span, middle, middle + span]


def test_at_the_instant_it_was_told_it_succeeds(till, alice, at_now):
    coffee = benefit()
    used(coffee, NOW - 9 * DAY, NOW - 8.2 * DAY, NOW - 6.3 * DAY, NOW - 4 * DAY)
    refused = record(till, coffee, alice, usageTimestamp=iso(NOW - 9 * DAY))
    told = refused.json()["availableAt"]
    assert told == iso(NOW - 5.3 * DAY)
    assert record(till, coffee, alice, usageTimestamp=told).status_code == 201


def test_the_next_time_after_a_back_dated_use_hops_over_later_ones(till, alice, at_now):
    coffee = benefit()
    used(coffee, NOW - 3.5 * DAY, NOW - 2 * DAY)
    back_dated = record(till, coffee, alice, usageTimestamp=iso(NOW - 5 * DAY))
    assert back_dated.json()["availableAt"] == iso(NOW - 1 * DAY)


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(timedelta(minutes=5), 201), (timedelta(minutes=5) + TICK, 400), (DAY, 400)],
)
def test_clocks_may_be_five_minutes_ahead(till, alice, at_now, ahead, status):
    response = record(till, benefit(), alice, usageTimestamp=iso(NOW + ahead))
    assert response.status_code == status
    if status == 400:
        assert response.json()["errors"][0]["pointer"] == "/usageTimestamp"
        assert not BenefitUsage.objects.exists()


def test_a_naive_time_is_utc_and_microseconds_stay(till, alice, at_now):
    coffee = benefit()
    naive = record(till, coffee, alice, usageTimestamp="2026-06-01T12:00:00.000001")
    assert naive.json()["usageTimestamp"] == "2026-06-01T12:00:00.000001Z"
    zoned = record(till, coffee, alice, usageTimestamp="2026-05-01T01:00:00+03:00")
    assert zoned.json()["usageTimestamp"] == "2026-04-30T22:00:00Z"


def test_the_beginning_of_time_is_no_accident(till, alice):
    response = record(till, benefit("month"), alice, usageTimestamp="0001-01-01T00:00:00Z")
    assert response.json()["availableAt"] == "0001-01-31T00:00:00Z"


def test_others_and_other_benefits_are_free(till, alice, at_now):
    coffee, tea, bob = benefit(), benefit(), person("Bob")
    answers = [record(till, *each) for each in ((coffee, alice), (coffee, bob), (tea, alice))]
    assert [each.status_code for each in answers] == [201] * 3


def test_a_later_use_within_one_recurrence_refuses_also_now(till, alice, at_now):
    coffee = benefit()
    used(coffee, NOW + DAY / 2)
    assert record(till, coffee, alice).json()["availableAt"] == iso(NOW + 1.5 * DAY)


def test_histories_that_break_the_recurrence_are_taken_and_judged(till, alice, at_now):
    coffee = benefit()
    used(coffee, *(NOW - n * DAY / 2 for n in range(10)))
    assert record(till, coffee, alice).json()["availableAt"] == iso(NOW + DAY)


@pytest.mark.parametrize(
    "id", ["404404", "0", "-1", "9223372036854775808", "1.0", "x", "１", "1e3"]
)
def test_an_unknown_benefit_is_404(till, alice, id):
    response = till.post(f"/api/v1/benefits/{id}/usages/", {"personId": alice.pk}, format="json")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:problem:not-found"


def test_an_unknown_person_is_404_with_the_same_words(till, alice):
    unknown = record(till, benefit(), 404404)
    nothing = record(till, 404404, alice)
    assert unknown.status_code == nothing.status_code == 404
    assert unknown.json()["detail"] == nothing.json()["detail"]
    assert not BenefitUsage.objects.exists()


BAD = [
    ({}, "/personId"),
    ({"personId": None}, "/personId"),
    ({"personId": "1"}, "/personId"),
    ({"personId": True}, "/personId"),
    ({"personId": 1.0}, "/personId"),
    ({"personId": 2**63}, "/personId"),
    ({"personId": [1]}, "/personId"),
    ({"personId": 1, "usageTimestamp": None}, "/usageTimestamp"),
    ({"personId": 1, "usageTimestamp": ""}, "/usageTimestamp"),
    ({"personId": 1, "usageTimestamp": 1767225600}, "/usageTimestamp"),
    ({"personId": 1, "usageTimestamp": "2026-01-01"}, "/usageTimestamp"),
    ({"personId": 1, "usageTimestamp": "2026-13-01T00:00:00Z"}, "/usageTimestamp"),
    ({"personId": 1, "usageTimestamp": "２026-01-01T00:00:00Z"}, "/usageTimestamp"),
    ({"personId": 1, "usage_timestamp": "2026-01-01T00:00:00Z"}, "/usage_timestamp"),
    ({"personId": 1, "benefitId": 1}, "/benefitId"),
    ([], ""),
]


@pytest.mark.parametrize(("body", "pointer"), BAD)
def test_what_cannot_be_read_is_400_and_named(till, alice, body, pointer):
    coffee = benefit()
    path = f"/api/v1/benefits/{coffee.pk}/usages/"
    response = till.post(path, body, format="json")
    assert response.status_code == 400
    assert pointer in [each["pointer"] for each in response.json()["errors"]]
    assert not BenefitUsage.objects.exists()


def test_it_is_one_statement(till, alice, django_assert_num_queries):
    coffee = benefit()
    with django_assert_num_queries(3):  # with its savepoint, which a test's transaction adds
        assert record(till, coffee, alice).status_code == 201


def test_only_the_gateway_may_record(till, alice, settings):
    settings.GATEWAY_SECRET = "s3cret"
    assert record(till, benefit(), alice).status_code == 403
    assert not BenefitUsage.objects.exists()


def test_asking_for_the_options_is_answered(till):
    for path in ("", "top/", "1/usages/"):
        assert till.options(f"/api/v1/benefits/{path}").status_code == 200


# Keys


def test_a_retry_is_told_the_same_and_records_nothing(till, alice):
    coffee = benefit()
    first = record(till, coffee, alice, key="k")
    again = record(till, coffee, alice, key="k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.json() == first.json()
    assert BenefitUsage.objects.count() == 1


def test_a_timestamp_is_compared_by_its_meaning(till, alice, at_now):
    coffee = benefit()
    for spelling in ("2026-06-01T12:00:00Z", "2026-06-01T14:00:00.000+02:00", "2026-06-01 12:00"):
        answer = record(till, coffee, alice, key="k", usageTimestamp=spelling)
        assert answer.status_code in (200, 201), answer.json()
    assert moments(coffee) == [datetime(2026, 6, 1, 12, tzinfo=UTC)]


def test_a_key_means_one_thing(till, alice, at_now):
    coffee, tea, bob = benefit(), benefit(), person("Bob")
    assert record(till, coffee, alice, key="k").status_code == 201
    for other in (
        record(till, tea, alice, key="k"),
        record(till, coffee, bob, key="k"),
        record(till, coffee, alice, key="k", usageTimestamp=iso(NOW)),
    ):
        assert other.status_code == 422
        assert other.json()["type"] == "urn:problem:idempotency-key-reused"
    assert BenefitUsage.objects.count() == 1


def test_a_refusal_leaves_the_key_free(till, alice, at_now):
    coffee = benefit()
    used(coffee, NOW)
    assert record(till, coffee, alice, key="k").status_code == 409
    assert record(till, coffee, 404404, key="k").status_code == 404
    BenefitUsage.objects.all().delete()
    assert record(till, coffee, alice, key="k").status_code == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 201])
def test_a_key_is_visible_ascii(till, alice, key):
    response = till.post(
        f"/api/v1/benefits/{benefit().pk}/usages/",
        {"personId": alice.pk},
        format="json",
        headers={"Idempotency-Key": key},
    )
    assert response.status_code == 400
    assert not BenefitUsage.objects.exists()


# Ids of others


@pytest.mark.parametrize("id", [1, 2, 5000])
def test_ids_that_others_chose_are_never_met(till, alice, id):
    coffee, tea = benefit(), benefit()
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE benefit_usage_id_seq RESTART")
        cursor.execute(
            "INSERT INTO benefit_usage VALUES (%s, %s, %s, now())", [id, alice.pk, coffee.pk]
        )
    assert record(till, tea, alice).json()["id"] > id


@pytest.mark.django_db(transaction=True)
def test_also_when_they_came_past_the_triggers(till, alice):
    coffee = benefit()
    used(benefit(), *(NOW - n * DAY for n in range(2)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('benefit_usage_id_seq', min(id), false) FROM benefit_usage")
    assert record(till, coffee, alice).status_code == 201


def test_now_is_the_servers(till, alice):
    before = timezone.now()
    record(till, benefit(), alice)
    assert before <= BenefitUsage.objects.get().usage_timestamp <= timezone.now()


def test_what_is_said_in_the_query_is_refused_and_not_passed_over(till, alice):
    coffee = benefit()
    path = f"/api/v1/benefits/{coffee.pk}/usages/?usageTimestamp={iso(NOW)}"
    response = till.post(path, {"personId": alice.pk}, format="json")
    assert response.status_code == 400
    assert [each["pointer"] for each in response.json()["errors"]] == ["/usageTimestamp"]
    assert moments(coffee) == []
