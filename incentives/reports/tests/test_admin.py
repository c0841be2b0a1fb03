"""Employers' reports in the admin: asked for once, shown with what is hidden hidden."""

from datetime import date

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from incentives.models import Achievement, Eligibility, EmployerReport
from incentives.partners.tests.factories import earn, make_programme, make_rule
from incentives.reports.quarters import closed_quarters

pytestmark = pytest.mark.django_db
REPORTS = "/admin/incentives/employerreport/"


@pytest.fixture
def quarter():
    return closed_quarters(timezone.now())[0]


@pytest.fixture
def employer(quarter):
    programme = make_programme(
        published_at=timezone.now(), name="Alpha", starts_on=date(2020, 1, 1)
    )
    Eligibility.objects.bulk_create(
        Eligibility(employer=programme.employer, user_id=str(user), starts_on=date(2020, 1, 1))
        for user in range(1, 101)
    )
    for people in [23, 47]:
        rule = make_rule(programme, cost="10.00", published_at=timezone.now())
        for user in range(1, people + 1):
            earn(rule, str(user), effective_on=quarter)
    Achievement.objects.update(cost="1.50")
    return programme.employer


def client_with(*permissions):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_a_report_is_made_once_and_shown(employer, quarter):
    staff = client_with("add_employerreport", "view_employerreport")
    said = {"employer": employer.slug, "quarter": f"{quarter}"}
    assert "Make a report" in staff.get(REPORTS).text
    for _ in range(2):
        page = staff.post(REPORTS, said, follow=True)
    report = EmployerReport.objects.get()
    assert page.redirect_chain[-1][0] == f"{REPORTS}{report.pk}/change/"
    assert report.made_by.username == "staff"
    assert "23" in page.text
    assert "70.50 USD" in page.text
    assert "105.00 USD" in page.text


def test_what_is_hidden_is_not_on_the_page(employer, quarter):
    few = make_rule(employer.programmes.get(), published_at=timezone.now())
    for user in range(1, 4):
        earn(few, str(user), effective_on=quarter)
    staff = client_with("add_employerreport", "view_employerreport")
    page = staff.post(REPORTS, {"employer": employer.slug, "quarter": f"{quarter}"}, follow=True)
    table = page.context["table"]["rows"]
    assert [row[2] for row in table] == ["hidden", "47", "hidden", "73"] or [
        row[2] for row in table
    ].count("hidden") == 2
    assert table[-1][3] == "hidden"


@pytest.mark.parametrize("said", [{"quarter": "2026-13-01"}, {"quarter": "x"}, {"quarter": ""}])
def test_what_cannot_be_made_is_said(employer, said):
    staff = client_with("add_employerreport", "view_employerreport")
    page = staff.post(REPORTS, {"employer": employer.slug, **said}, follow=True)
    assert "Choose an employer and a closed quarter." in page.text
    assert not EmployerReport.objects.exists()


def test_making_and_looking_need_their_permissions(employer, quarter):
    looking = client_with("view_employerreport")
    assert "Make a report" not in looking.get(REPORTS).text
    said = {"employer": employer.slug, "quarter": f"{quarter}"}
    assert looking.post(REPORTS, said).status_code == 403
    assert not EmployerReport.objects.exists()
    looking.logout()
    assert looking.get(REPORTS).status_code == 302


def test_a_report_that_is_not_there_is_not_shown(employer):
    staff = client_with("view_employerreport")
    assert staff.get(f"{REPORTS}99/change/").status_code == 302
