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
