"""What one person does costs the same in a hot benefit as in any other."""

from datetime import timedelta

import pytest
from django.db import connection

from benefits import availability, services
from benefits.models import BenefitUsage, Person
from benefits.tests.factories import NOW, benefit
from benefits.tests.kept import execute

READ = "SELECT pg_stat_get_xact_tuples_returned('benefit_usage_of_benefit'::regclass)"


@pytest.fixture
def hot(db):
    """Everybody used it in the last hour, and other benefits are hardly used at all."""
    venue = benefit().venue
    hot, *others = [benefit(venue=venue, title=str(number)) for number in range(100)]
    persons = Person.objects.bulk_create(Person(name=str(number)) for number in range(3000))
    BenefitUsage.objects.bulk_create(
        BenefitUsage(person=each, benefit=what, usage_timestamp=NOW - timedelta(seconds=number))
        for what, whose in ((hot, persons), *((other, persons[:10]) for other in others))
        for number, each in enumerate(whose)
    )
    execute("ANALYZE")
    return hot


def read_by_benefit(call):
    """How many uses were read from the index that knows nothing of the person."""
    with connection.cursor() as cursor:
        cursor.execute(READ)
        [before] = cursor.fetchone()
        call()
        cursor.execute(READ)
        return cursor.fetchone()[0] - before


def test_recording_reads_no_other_persons_uses(hot):
    persons = list(Person.objects.values_list("pk", flat=True)[:12])

    def record():
        for each in persons:
            with pytest.raises(services.BenefitNotAvailable):
                services.record_use(benefit=hot.pk, person=each, at=NOW, now=NOW)
        late = Person.objects.create(name="Late").pk
        for _ in range(12):
            with connection.cursor() as cursor:
                cursor.execute("SAVEPOINT one")
                services.record_use(benefit=hot.pk, person=late, at=NOW, now=NOW)
                cursor.execute("ROLLBACK TO one")

    assert read_by_benefit(record) == 0


def test_offers_read_no_other_persons_uses(hot):
    persons = list(Person.objects.values_list("pk", flat=True)[:12])

    def look():
        for each in persons:
            availability.offers(person=each, venue=hot.venue_id, at=NOW)
            availability.available(person=each, venue=hot.venue_id, at=NOW)

    assert read_by_benefit(look) == 0


USE = "INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp) VALUES (1, 1, %s)"
COUNTED = {
    "nothing": ("n", "n", 0),
    "one use": ("1", "1", 1),
    "one person's uses of one benefit": ("1", "1", 1000),
    "one person's uses of many benefits": ("1", "n", 500),
    "few uses of each benefit": ("n", "1 + n %% 500", 1000),
}


@pytest.mark.django_db
@pytest.mark.parametrize("counted", COUNTED)
def test_whatever_was_counted_last_a_hot_benefit_is_recorded_person_by_person(counted):
    def tuples_read():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class"
                " WHERE relname LIKE 'benefit_usage%'"
            )
            return cursor.fetchone()[0]

    # More pages than the 8 that are cheaper to read whole than to look into.
    many, (whose, of_what, uses) = 2000, COUNTED[counted]
    # What other tests have left in the indexes would make them dear.
    execute("REINDEX TABLE benefit_usage")
    execute("INSERT INTO venue (id, name) VALUES (1, 'Library')")
    execute(
        "INSERT INTO benefit (id, venue_id, title, recurrence)"
        " SELECT n, 1, n, 'day' FROM generate_series(1, 500) n"
    )
    execute("INSERT INTO person (id, name) SELECT n, n FROM generate_series(1, 4000) n")
    # Pages in which nothing is counted tell more to the planner than no page does.
    execute("SAVEPOINT before")
    execute(USE, NOW)
    execute("ROLLBACK TO before")
    execute(
        "INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp)"
        f" SELECT {whose}, {of_what}, %s - n * interval '40 days'"
        " FROM generate_series(1, %s::int) n",
        NOW, uses,
    )  # fmt: skip
    execute("ANALYZE benefit_usage")
    recording = (
        "SELECT benefits_record_use(id, 500, %s) FROM person WHERE id BETWEEN %s::int AND %s::int"
    )
    # The plans of this session are made anew after that, and by whoever comes first.
    for _ in range(2):
        execute(recording, NOW, 1001, 1001)
    before = tuples_read()
    for _ in range(2):
        execute(recording, NOW, 1002, 1001 + many)
    for late in range(12):
        availability.available(person=1 + late, venue=1, at=NOW)
    # It takes 7 for each, and a look at the offers one for each; all with all would take hundreds.
    assert tuples_read() - before < 20 * many
