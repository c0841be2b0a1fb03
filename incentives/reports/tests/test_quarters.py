"""An employer's report: of closed quarters, of many people, and the same for ever."""

import json
from datetime import UTC, date, datetime

import pytest
from django.db import ProgrammingError, transaction

from common.tests.races import at_once
from incentives.models import Achievement, Eligibility, Employer, EmployerReport
from incentives.partners.tests.factories import earn, make_programme, make_rule
from incentives.reports.quarters import (
    QuarterOpen,
    closed_quarters,
    end_of,
    make_report,
    quarter_of,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, tzinfo=UTC)
SUMMER = date(2026, 7, 1)
IN_SUMMER = date(2026, 8, 15)


@pytest.fixture
def programme():
    return make_programme(published_at=NOW)


@pytest.fixture
def employer(programme):
    employer = programme.employer
    Eligibility.objects.bulk_create(
        Eligibility(employer=employer, user_id=str(user), starts_on=date(2026, 1, 1))
        for user in range(1, 101)
    )
    return employer


def rule_earned_by(programme, people, **fields):
    rule = make_rule(programme, published_at=NOW, **fields)
    for user in range(1, people + 1):
        earn(rule, str(user), effective_on=IN_SUMMER)
    return rule


def report(employer, quarter=SUMMER):
    return make_report(employer=employer, quarter=quarter, by=None, now=NOW)[0].figures


def numbers(figures):
    return [each["members"] for each in figures["rows"]]


def test_many_are_counted_with_their_cost(programme, employer):
    rule_earned_by(programme, 12, cost="45.50")
    rule_earned_by(programme, 30, cost="10.00")
    Achievement.objects.update(cost="2.50")
    figures = report(employer)
    assert numbers(figures) == [12, 30]
    assert (figures["population"], figures["total"], figures["cost"]) == (100, 42, "105.00")
    assert [each["cost"] for each in figures["rows"]] == ["30.00", "75.00"]


def test_three_births_are_told_by_no_figure(programme, employer):
    rule_earned_by(programme, 3, cost="80.00")
    rule_earned_by(programme, 40)
    figures = report(employer)
    assert numbers(figures) == [None, None]
    assert (figures["total"], figures["cost"]) == (43, None)
    assert [each["cost"] for each in figures["rows"]] == [None, None]
    assert "240" not in json.dumps(figures)


def test_two_reports_never_differ_by_a_person(programme, employer):
    rule = rule_earned_by(programme, 12)
    before = report(employer)
    earn(rule, "13", effective_on=IN_SUMMER)
    again, is_new = make_report(employer=employer, quarter=SUMMER, by=None, now=NOW)
    assert (again.figures, is_new) == (before, False)
    assert numbers(report(employer, date(2026, 4, 1))) == [None]


def test_a_report_is_final(programme, employer):
    report(employer)
    for change in [
        lambda: EmployerReport.objects.update(figures={}),
        lambda: EmployerReport.objects.all().delete(),
    ]:
        with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
            change()


def test_only_what_was_earned_in_the_quarter_and_stands_is_counted(programme, employer):
    rule = rule_earned_by(programme, 20)
    sensitive = rule_earned_by(programme, 20, is_sensitive=True)
    earn(rule, "50", effective_on=date(2026, 6, 30))
    earn(rule, "51", effective_on=date(2026, 10, 1))
    earn(rule, "1", effective_on=date(2026, 9, 30))  # a member counts once
    gone = Achievement.objects.filter(incentive=rule.incentive, user_id__in=["2", "3"])
    gone.update(status=Achievement.Status.REVERSED)
    consented = Achievement.objects.filter(incentive=sensitive.incentive).order_by("id")[:15]
    Achievement.objects.filter(pk__in=consented).update(status=Achievement.Status.RELEASED)
    # In the order of names, which are numbered.
    assert sorted(numbers(report(employer))) == [15, 18]


def test_another_employers_members_are_not_in_it(programme, employer):
    rule_earned_by(programme, 20)
    other = Employer.objects.create(slug="other", name="Other", timezone="UTC")
    assert report(other) == {
        "population": 0,
        "smallest": 10,
        "rows": [],
        "total": 0,
        "cost": None,
        "currency": None,
    }


def test_an_open_quarter_has_no_report(programme, employer):
    for quarter in [date(2026, 10, 1), date(2027, 1, 1), date(2026, 7, 2), date(2026, 8, 1)]:
        with pytest.raises(QuarterOpen):
            report(employer, quarter)
    assert closed_quarters(datetime(2026, 10, 30, tzinfo=UTC))[0] == date(2026, 4, 1)
    assert closed_quarters(datetime(2026, 10, 31, tzinfo=UTC))[0] == SUMMER


def test_a_quarter_is_three_months():
    assert quarter_of(date(2026, 12, 31)) == date(2026, 10, 1)
    assert end_of(date(2026, 10, 1)) == date(2026, 12, 31)
    assert end_of(date(2028, 1, 1)) == date(2028, 3, 31)


@pytest.mark.django_db(transaction=True)
def test_made_twice_at_once_it_is_one():
    employer = make_programme(published_at=NOW).employer
    made = at_once([lambda: make_report(employer=employer, quarter=SUMMER, by=None, now=NOW)] * 4)
    assert len({report.pk for report, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1
