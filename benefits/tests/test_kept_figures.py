"""What is kept beside the uses stays right, however rows come, change and go."""

import json
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from benefits import activity, popularity
from benefits.models import Activity, Benefit, BenefitUsage, Person, Venue
from benefits.recurrence import IDLE, SPANS, Recurrence, sql
from benefits.tests.factories import NOW, TICK, benefit, iso, person, used
from benefits.tests.kept import DAY, execute, proved
from common.tests.races import at_once


def random_moment(source):
    return NOW - timedelta(microseconds=source.randrange(40 * 24 * 3600 * 10**6))


def test_any_sequence_of_statements_leaves_it_right(world):
    source = random.Random(5)
    persons = list(Person.objects.values_list("pk", flat=True))
    for _ in range(150):
        uses = list(BenefitUsage.objects.values_list("pk", flat=True))
        some = source.sample(uses, min(len(uses), source.randrange(1, 6)))
        match source.randrange(8):
            case 0 | 1 | 2:
                BenefitUsage.objects.bulk_create(
                    BenefitUsage(
                        person_id=source.choice(persons),
                        benefit=source.choice(world),
                        usage_timestamp=random_moment(source),
                    )
                    for _ in range(source.randrange(1, 12))
                )
            case 3:
                execute("DELETE FROM benefit_usage WHERE id = ANY(%s)", some)
            case 4:
                moment = random_moment(source)
                BenefitUsage.objects.filter(pk__in=some).update(usage_timestamp=moment)
            case 5:
                BenefitUsage.objects.filter(pk__in=some).update(benefit=source.choice(world))
            case 6:
                activity.fold()
            case 7:
                execute(
                    "UPDATE benefit_usage SET usage_timestamp = usage_timestamp"
                    " + make_interval(hours => %s), person_id = %s WHERE id = ANY(%s)",
                    source.randrange(-30, 30),
                    source.choice(persons),
                    some,
                )
        proved()
    assert Activity.objects.exists()


def test_copy_counts_like_a_recording(world):
    alice = Person.objects.first().pk
    rows = [(10**9 + n, alice, world[n % 2].pk, NOW - n * DAY / 3) for n in range(300)]
    with connection.cursor() as cursor:
        columns = "(id, person_id, benefit_id, usage_timestamp)"
        with cursor.copy(f"COPY benefit_usage {columns} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    assert sum(proved().values()) == 300
    used(world[0], NOW)
    assert BenefitUsage.objects.latest("pk").pk > 10**9 + 300


def test_plain_sql_needs_only_the_columns_of_the_data(db):
    for table in ("venue", "person", "benefit", "benefit_usage"):
        execute(f"ALTER SEQUENCE {table}_id_seq RESTART")
    execute("INSERT INTO venue (id, name) VALUES (7, 'Gym')")
    execute("INSERT INTO person (id, name) VALUES (7, 'Alice')")
    execute("INSERT INTO benefit (id, venue_id, title, recurrence) VALUES (7, 7, 'Sauna', 'week')")
    execute("INSERT INTO benefit VALUES (8, 7, 'Towel', 'day', now())")
    execute("INSERT INTO benefit_usage VALUES (7, 7, 7, now()), (9, 7, 8, now())")
    assert Benefit.objects.get(pk=7).created_at is not None
    assert len(proved()) == 2
    for model, highest in ((Venue, 7), (Person, 7), (Benefit, 8), (BenefitUsage, 9)):
        sequence = f"{model._meta.db_table}_id_seq"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT nextval('{sequence}')")
            assert cursor.fetchone()[0] > highest + 1000


def test_the_largest_id_there_is_leaves_the_sequence_ids_to_give(world):
    largest = 2**63 - 1
    execute("INSERT INTO venue VALUES (%s, 'Gym')", largest)
    execute("INSERT INTO person VALUES (%s, 'Alice')", largest)
    execute("INSERT INTO benefit VALUES (%s, %s, 'Sauna', 'day')", largest, largest)
    use = "INSERT INTO benefit_usage VALUES (%s, %s, %s, now() - interval '2 days')"
    execute(use, largest, largest, largest)
    used(Benefit.objects.get(pk=largest), NOW, by=person("Zoe"))
    assert benefit(title="Tea").pk < largest
    proved()


def test_an_id_chosen_below_the_next_one_does_not_move_the_sequence_back(world):
    execute("ALTER SEQUENCE benefit_usage_id_seq RESTART WITH 10000500")
    alice = Person.objects.first().pk
    execute("INSERT INTO benefit_usage VALUES (10000300, %s, %s, now())", alice, world[0].pk)
    used(world[0], NOW)
    assert BenefitUsage.objects.latest("pk").pk == 10_000_500


def test_whoever_counts_ids_up_by_hand_never_meets_a_recorded_one(world):
    alice = Person.objects.first().pk
    for number in range(10**7, 10**7 + 5):
        execute(
            "INSERT INTO benefit_usage VALUES (%s, %s, %s, %s)", number, alice, world[0].pk, NOW
        )
        used(world[0], NOW)
    assert BenefitUsage.objects.filter(pk__lt=10**7 + 5, pk__gte=10**7).count() == 5


def test_loaddata_counts_like_a_recording(db, tmp_path):
    def row(model, pk, **fields):
        return {"model": f"benefits.{model}", "pk": pk, "fields": fields}

    document = [
        row("benefitusage", 3, person=4, benefit=5, usage_timestamp=iso(NOW)),
        row("benefitusage", 4, person=4, benefit=5, usage_timestamp=iso(NOW - DAY)),
        row("benefit", 5, venue=6, title="Coffee", recurrence="day"),
        row("person", 4, name="Alice"),
        row("venue", 6, name="Gym"),
    ]
    path = tmp_path / "world.json"
    for _ in range(2):  # loading it again changes nothing
        path.write_text(json.dumps(document))
        call_command("loaddata", str(path), verbosity=0)
        assert sum(proved().values()) == 2
        assert Benefit.objects.get().created_at is not None
    document[0]["fields"]["usage_timestamp"] = iso(NOW - 20 * DAY)
    path.write_text(json.dumps(document))
    call_command("loaddata", str(path), verbosity=0)
    proved()


def test_what_dumpdata_wrote_is_loaded_without_counting_twice(world, tmp_path):
    used(world[0], NOW, NOW - DAY)
    used(world[1], NOW - 40 * DAY)
    before, path = proved(), tmp_path / "all.json"
    call_command("dumpdata", "benefits", output=str(path), verbosity=0)
    for model in (BenefitUsage, Benefit, Person, Venue):
        model.objects.all().delete()
    assert proved() == {}
    call_command("loaddata", str(path), verbosity=0)
    assert proved() == before


@pytest.mark.parametrize("table", ["benefits_activity", "benefits_change"])
def test_nobody_writes_activity_but_the_triggers_and_the_fold(world, table):
    used(world[0], NOW)
    activity.fold()
    used(world[0], NOW)
    before = proved()
    execute("SET LOCAL benefits.keeps_activity = off")  # here it is all one transaction
    assert execute(f"UPDATE {table} SET uses = 7") == 0
    assert execute(f"DELETE FROM {table}") == 0
    assert execute(f"INSERT INTO {table} (starts_on, benefit_id, uses) VALUES (now(), 1, 1)") == 0
    assert proved() == before


def test_the_fold_leaves_nothing_beside_the_weeks(world):
    used(world[0], NOW, NOW, NOW - 7 * DAY)
    used(world[1], NOW)
    BenefitUsage.objects.filter(benefit=world[1]).delete()
    before = proved()
    assert activity.fold() == 2
    assert execute("SELECT FROM benefits_change") == 0
    assert (
        proved()
        == before
        == {(each.benefit_id, each.starts_on): each.uses for each in Activity.objects.all()}
    )
    assert activity.fold() == 0


def test_a_week_whose_uses_were_all_folded_and_then_deleted_counts_none(world):
    used(world[0], NOW)
    activity.fold()
    BenefitUsage.objects.all().delete()
    activity.fold()
    assert proved() == {}
    assert [best for _, best in popularity.top(now=NOW)] == [[]] * 3


def test_what_pg_dump_wrote_is_restored_with_an_empty_search_path(world):
    execute("SET LOCAL search_path TO ''")
    execute(
        "INSERT INTO public.benefit_usage (person_id, benefit_id, usage_timestamp)"
        " SELECT id, %s, now() FROM public.person",
        world[0].pk,
    )
    execute("UPDATE public.benefit_usage SET usage_timestamp = usage_timestamp - interval '40 day'")
    execute(
        "DELETE FROM public.benefit_usage WHERE id = (SELECT max(id) FROM public.benefit_usage)"
    )
    execute("SET LOCAL search_path TO public")
    assert len(proved()) == 1


def test_uses_of_other_zones_fall_in_utc_weeks(world):
    monday = datetime(2026, 6, 29, tzinfo=UTC)
    execute("SET LOCAL TIME ZONE 'Pacific/Auckland'")
    used(world[0], monday, monday - TICK)
    execute("SET LOCAL TIME ZONE 'UTC'")
    assert sorted(starts_on for _, starts_on in proved()) == [date(2026, 6, 22), date(2026, 6, 29)]


@pytest.mark.django_db(transaction=True)
def test_emptied_together_or_alone_nothing_is_left():
    person()
    used(benefit(), NOW)
    execute("TRUNCATE benefit_usage")
    proved()
    used(benefit(), NOW)
    execute("TRUNCATE benefits_change, benefits_activity, benefit_usage")
    proved()
    used(benefit(), NOW)
    activity.fold()
    execute("TRUNCATE benefit_usage")
    proved()
    used(benefit(), NOW)
    execute("TRUNCATE venue CASCADE")
    proved()


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_lose_nothing():
    alice, coffee = person(), benefit()
    first, last = NOW - DAY / 2, NOW - DAY / 4
    used(coffee, first, last)
    doomed = BenefitUsage.objects.get(usage_timestamp=first)

    def add(number):
        used(coffee, *(NOW - DAY / 3 - n * DAY for n in range(number % 3 + 1)), by=alice)

    def move():
        BenefitUsage.objects.filter(usage_timestamp=last).update(usage_timestamp=NOW - 3 * DAY)

    calls = [lambda number=number: add(number) for number in range(12)]
    outcomes = at_once([*calls, doomed.delete, move, *[activity.fold] * 5])
    assert not [each for each in outcomes if isinstance(each, Exception)]
    proved()


@pytest.mark.django_db(transaction=True)
def test_every_reader_counts_each_use_once_while_others_write_and_fold():
    """What is counted is all that was there when the reading began, or came since."""
    alice, coffee = person(), benefit()
    for number in range(5):
        used(coffee, *[NOW - DAY] * 20, by=alice)

        def read(least=20 * (number + 1)):
            [(_, [best])] = popularity.top(now=NOW)
            return least <= best.uses <= least + 8

        outcomes = at_once(
            [
                *[lambda: used(coffee, NOW - DAY, by=alice)] * 8,
                *[activity.fold] * 4,
                *[read] * 12,
            ]
        )
        assert [each for each in outcomes if each is False or isinstance(each, Exception)] == []
        proved()
        BenefitUsage.objects.filter(
            pk__in=BenefitUsage.objects.order_by("-pk").values("pk")[:8]
        ).delete()
    activity.fold()
    assert sum(proved().values()) == 100


@pytest.mark.django_db(transaction=True)
def test_whoever_loads_many_rows_makes_no_recording_wait_or_fail():
    """Not yet committed, in the same weeks of the same benefit."""
    alice, coffee = person(), benefit()
    with transaction.atomic():
        used(coffee, *[NOW] * 50, by=alice)
        [outcome] = at_once([lambda: used(coffee, NOW - DAY, by=alice)])
        assert outcome is None
    proved()
    assert BenefitUsage.objects.count() == 51


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "9999-01-01 UTC", "0044-03-15 UTC BC"])
def test_what_no_json_could_say_is_refused(world, moment):
    for statement in (
        "INSERT INTO benefit_usage (person_id, benefit_id, usage_timestamp)"
        f" SELECT id, {world[0].pk}, %s FROM person",
        "UPDATE benefit SET created_at = %s",
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            execute(statement, moment)


def test_a_recurrence_is_one_of_three(world):
    with pytest.raises(IntegrityError):
        execute("UPDATE benefit SET recurrence = 'year'")


@pytest.mark.django_db
def test_the_database_means_by_a_recurrence_what_python_means():
    with connection.cursor() as cursor:
        for each in Recurrence:
            cursor.execute(
                f"SELECT {sql(SPANS)}, {sql(IDLE)} FROM (VALUES (%s)) AS benefit (recurrence)",
                [each.value],
            )
            assert cursor.fetchone() == (each.span, IDLE[each])
