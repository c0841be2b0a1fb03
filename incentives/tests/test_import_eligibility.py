"""manage.py import_eligibility: a whole file or nothing."""

from datetime import date, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from common.tests.races import at_once
from conftest import ALICE, BOB, CHARLIE
from incentives.models import Eligibility, Waiting
from incentives.tests.worlds import awards, employer, logged, member, offer, work

pytestmark = pytest.mark.django_db
HEADER = "user_id,starts_on,ends_on,timezone"


@pytest.fixture
def load(tmp_path, capsys):
    employer()

    def load(*lines, header=HEADER, **options):
        file = tmp_path / "members.csv"
        text = "\n".join([header, *lines])
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        call_command("import_eligibility", str(file), employer="acme", **options)
        return capsys.readouterr().out.strip()

    return load


def refusal(load, *lines, **options):
    before = list(Eligibility.objects.values_list())
    with pytest.raises(CommandError) as refused:
        load(*lines, **options)
    assert list(Eligibility.objects.values_list()) == before
    return refused.value


def periods(user_id=ALICE):
    found = Eligibility.objects.filter(user_id=user_id).order_by("starts_on")
    return [(str(each.starts_on), str(each.ends_on or ""), each.timezone) for each in found]


def test_a_file_makes_members(load):
    told = load(f"{ALICE},2026-01-01,,Europe/Berlin", "42,2026-01-01,2026-12-31,")
    assert told == "2 new, 0 changed, 0 as before, 0 left."
    assert periods() == [("2026-01-01", "", "Europe/Berlin")]
    assert periods("42") == [("2026-01-01", "2026-12-31", "")]


def test_its_members_may_send_events_at_once(load):
    offer()
    load(f"{ALICE},2026-01-01,,")
    logged(ALICE, range(1, 6))
    work()
    assert len(awards(ALICE)) == 1


def test_events_from_before_the_file_count(load):
    offer()
    logged(ALICE, range(1, 6))
    work()
    load(f"{ALICE},2026-01-01,,")
    work()
    assert len(awards(ALICE)) == 1


def test_the_same_file_again_changes_nothing(load):
    load(f"{ALICE},2026-01-01,,")
    Waiting.objects.all().delete()
    before = Eligibility.objects.get().pk
    assert load(f"{ALICE.upper()},2026-01-01,,") == "0 new, 0 changed, 1 as before, 0 left."
    assert Eligibility.objects.get().pk == before
    assert not Waiting.objects.exists()


def test_a_period_takes_the_place_of_those_it_overlaps(load):
    load(f"{ALICE},2024-01-01,2024-12-31,", f"{ALICE},2025-06-01,,")
    told = load(f"{ALICE},2025-01-01,2026-03-31,Asia/Tokyo")
    assert told == "0 new, 1 changed, 0 as before, 0 left."
    assert periods() == [
        ("2024-01-01", "2024-12-31", ""),
        ("2025-01-01", "2026-03-31", "Asia/Tokyo"),
    ]


def test_columns_come_in_any_order_and_blank_lines_do_not_matter(load):
    load("", f",Asia/Tokyo,2026-01-01,{ALICE}", "  ", header="﻿ends_on,timezone,starts_on,user_id")
    assert periods() == [("2026-01-01", "", "Asia/Tokyo")]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nobody,2026-01-01,,", "user_id is neither"),
        ("0,2026-01-01,,", "user_id is neither"),
        ("٤٢,2026-01-01,,", "user_id is neither"),
        ("9223372036854775808,2026-01-01,,", "user_id is neither"),
        ("7,,,", "starts_on is not a day"),
        ("7,01.02.2026,,", "starts_on is not a day"),
        ("7,2026-02-30,,", "starts_on is not a day"),
        ("7,20260203,,", "starts_on is not a day"),
        ("7,2026-01-01,soon,", "ends_on is not a day"),
        ("7,2026-01-02,2026-01-01,", "ends_on is before starts_on"),
        ("7,2026-01-01,,Mars/Base", "timezone is not an IANA time zone"),
        ("7,2026-01-01,", "3 columns, not 4"),
        ("7,2026-01-01,,,", "5 columns, not 4"),
        ('7,"2026-01-01,,', "not CSV"),
        (f"{ALICE.upper()},2026-05-01,,", "overlaps the period of line 2"),
    ],
)
def test_one_bad_line_refuses_the_whole_file_and_is_named(load, line, told):
    error = refusal(load, f"{ALICE},2026-01-01,,", line)
    assert f"line 3: {told}" in str(error)
    assert error.returncode == 1


def test_every_bad_line_is_named_up_to_twenty(load):
    assert str(refusal(load, *["x,y,z,w"] * 30)).count("line ") == 20


@pytest.mark.parametrize("header", ["", "user_id,starts_on", f"{HEADER},email"])
def test_other_columns_are_refused(load, header):
    assert "line 1: the columns are user_id," in str(refusal(load, "7,2026-01-01,,", header=header))


@pytest.mark.parametrize("line", [1, 2, 3, 900])
def test_what_is_not_utf_8_is_refused_with_its_line(tmp_path, line):
    employer()
    lines = [HEADER, *people(1000)]
    lines[line - 1] += "\xe9"
    file = tmp_path / "latin.csv"
    file.write_bytes("\n".join(lines).encode("latin-1"))
    with pytest.raises(CommandError, match=rf"\nline {line}: not UTF-8\.$"):
        call_command("import_eligibility", str(file), employer="acme")


def test_faults_above_what_is_not_utf_8_are_named_too(tmp_path):
    employer()
    file = tmp_path / "latin.csv"
    file.write_bytes(f"{HEADER}\n7,soon,,\n8,2026-01-01,,\xe9\n".encode("latin-1"))
    with pytest.raises(CommandError, match=r"line 2: starts_on .*\nline 3: not UTF-8"):
        call_command("import_eligibility", str(file), employer="acme")


def test_an_unknown_employer_or_file_is_refused(load, tmp_path):
    with pytest.raises(CommandError, match="no employer"):
        call_command("import_eligibility", str(tmp_path / "x"), employer="none")
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_eligibility", str(tmp_path / "x"), employer="acme")


def people(count):
    return [f"{number},2026-01-01,," for number in range(1, count + 1)]


def test_in_a_full_file_the_absent_have_left(load):
    load(*people(10))
    told = load(*people(8), full=True)
    assert told == "0 new, 0 changed, 8 as before, 2 left."
    yesterday = timezone.now().date() - timedelta(days=1)
    assert Eligibility.objects.get(user_id="9").ends_on in (
        yesterday,
        yesterday - timedelta(days=1),  # in New York
    )


def test_without_full_the_absent_stay(load):
    load(*people(10))
    load("1,2026-01-01,,")
    assert Eligibility.objects.filter(ends_on=None).count() == 10


def test_a_full_file_that_would_remove_over_20_percent_is_held(load):
    load(*people(10))
    error = refusal(load, *people(7), "77,2026-01-01,,", full=True)
    assert error.returncode == 3
    assert "3 of 10 members" in str(error)


def test_a_held_file_may_be_confirmed(load):
    load(*people(10))
    assert load(*people(5), full=True, confirm=True).endswith("5 left.")


def test_an_empty_full_file_is_held_too(load):
    load(*people(3))
    assert refusal(load, full=True).returncode == 3


def test_whoever_left_before_is_not_counted_again(load):
    load(*[f"{number},2020-01-01,2020-12-31," for number in range(1, 11)])
    load("11,2026-01-01,,")
    assert load("11,2026-01-01,,", full=True).endswith("0 left.")


def test_a_period_yet_to_begin_is_cancelled(load):
    load(*people(9), f"{ALICE},2126-01-01,,")
    load(*people(9), full=True)
    assert periods() == []


def test_another_employers_members_are_untouched(load):
    member(BOB, "globex")
    load(*people(5))
    load(*people(5), full=True)
    assert Eligibility.objects.get(user_id=BOB).ends_on is None


def test_periods_of_a_member_cannot_overlap_in_the_database():
    member(ALICE, ends_on=date(2026, 1, 31))
    member(ALICE, starts_on=date(2026, 2, 1))
    member(ALICE, "globex")
    member(CHARLIE)
    with pytest.raises(IntegrityError, match="no_overlap"), transaction.atomic():
        member(ALICE, starts_on=date(2026, 1, 31), ends_on=date(2026, 1, 31))


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_wait_for_each_other(load):
    lines = [f"{number},2026-01-01,," for number in range(1, 50)]
    answers = at_once([lambda: load(*lines)] * 4)
    assert [each for each in answers if isinstance(each, Exception)] == []
    assert Eligibility.objects.count() == 49
