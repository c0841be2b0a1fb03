"""Accounts and entries in the admin: to be found and read, changed by nobody."""

import csv
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from conftest import ALICE, BOB
from wallet import ledger
from wallet.admin import EntryInline
from wallet.models import Account, Entry

pytestmark = pytest.mark.django_db
ACCOUNTS, ENTRIES = "/admin/wallet/account/", "/admin/wallet/entry/"


@pytest.fixture
def chief(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


def client_with(*permissions):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def credit(number, user_id=ALICE, kind="gift", **details):
    return ledger.post(
        owner="tests", key=f"{user_id} {number}", user_id=user_id, amount=10, kind=kind, **details
    )


def listed(client, url):
    return [row.pk for row in client.get(url).context["cl"].result_list]


# Reading


def test_an_account_is_found_by_its_user_id_or_its_beginning(chief):
    credit(1)
    credit(1, BOB)
    for term in [ALICE, ALICE.upper(), f" {ALICE} ", ALICE[:8]]:
        assert listed(chief, f"{ACCOUNTS}?q={term}") == [ALICE]


def test_an_account_shows_its_newest_entries_a_page_of_them(chief, django_assert_max_num_queries):
    for number in range(EntryInline.per_page + 5):
        credit(number)
    newest = Entry.objects.order_by("-version")
    with django_assert_max_num_queries(12):
        response = chief.get(f"{ACCOUNTS}{ALICE}/change/")
    (inline,) = response.context["inline_admin_formsets"]
    shown = [form.original.pk for form in inline if form.original]
    assert shown == [entry.pk for entry in newest[: EntryInline.per_page]]
    rest = chief.get(f"{ACCOUNTS}{ALICE}/change/?entry_set-page=2")
    (inline,) = rest.context["inline_admin_formsets"]
    assert len([form for form in inline if form.original]) == 5


def test_entries_are_found_by_user_reference_kind_and_day(chief):
    first, second = credit(1, reference="order 7"), credit(2, BOB, kind="fee")
    today = f"{timezone.now():%Y-%m-%d}"
    assert listed(chief, ENTRIES) == [second.id, first.id]
    assert listed(chief, f"{ENTRIES}?q={ALICE.upper()}") == [first.id]
    assert listed(chief, f"{ENTRIES}?q=order 7") == [first.id]
    assert listed(chief, f"{ENTRIES}?q=order") == []
    assert listed(chief, f"{ENTRIES}?kind=fee") == listed(chief, f"{ENTRIES}?kind= fee ")
    assert listed(chief, f"{ENTRIES}?kind=fee") == [second.id]
    assert listed(chief, f"{ENTRIES}?kind=fe") == []
    assert listed(chief, f"{ENTRIES}?created_at_from={today}") == [second.id, first.id]
    assert listed(chief, f"{ENTRIES}?created_at_to=2020-01-01") == []


def test_an_entry_leads_to_its_account_and_its_correction(chief):
    wrong = credit(1)
    right = ledger.post(
        owner="tests", key="k", user_id=ALICE, amount=-1, kind="gift", corrects=wrong.id
    )
    assert f"{ENTRIES}{right.id}/change/" in chief.get(f"{ENTRIES}{wrong.id}/change/").text
    page = chief.get(f"{ENTRIES}{right.id}/change/").text
    assert f"{ENTRIES}{wrong.id}/change/" in page
    assert f"{ACCOUNTS}{ALICE}/change/" in page


def test_a_list_costs_a_fixed_number_of_queries(chief, django_assert_max_num_queries):
    for number in range(30):
        credit(number, user_id=str(number + 1))
    for url in [ACCOUNTS, ENTRIES]:
        with django_assert_max_num_queries(8):
            chief.get(url)


def test_a_reason_is_shown_as_text(chief):
    posted = credit(1, reason="<script>alert(1)</script>")
    for url in [ENTRIES, f"{ENTRIES}{posted.id}/change/", f"{ACCOUNTS}{ALICE}/change/"]:
        assert "<script>alert(1)" not in chief.get(url).text


# Changing


@pytest.mark.parametrize("model", ["account", "entry"])
def test_nobody_adds_changes_or_deletes_not_even_by_direct_post(chief, model):
    entry = credit(1)
    base = f"/admin/wallet/{model}/"
    key = ALICE if model == "account" else entry.id
    values = {"user_id": ALICE, "balance": 999, "version": 9, "amount": 999, "reason": "edited"}
    assert chief.get(f"{base}add/").status_code == 403
    assert chief.post(f"{base}add/", values).status_code == 403
    assert chief.post(f"{base}{key}/change/", values).status_code == 403
    assert chief.post(f"{base}{key}/delete/", {"post": "yes"}).status_code == 403
    for action in ["delete_selected", ""]:
        chief.post(base, {"action": action, "_selected_action": [key], "post": "yes", "index": 0})
    assert Account.objects.values_list("balance", "version").get() == (10, 1)
    assert Entry.objects.values_list("amount", "reason").get() == (10, "")


@pytest.mark.parametrize("url", [ACCOUNTS, ENTRIES, f"{ENTRIES}export/"])
def test_looking_needs_its_permission(url):
    assert client_with("adjust_balance").get(url).status_code == 403
    response = Client().get(url)
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


# CSV


def exported(client, query=""):
    response = client.get(f"{ENTRIES}export/{query}")
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment; filename=")
    return list(csv.DictReader(StringIO(response.getvalue().decode())))


def test_the_export_has_every_entry_of_the_list_newest_first():
    client = client_with("view_entry")
    for number in range(130):
        last = credit(number, reference=f"r{number}", reason='Ağ; "2",\nund')
    rows = exported(client)
    assert [row["reference"] for row in rows] == [f"r{n}" for n in reversed(range(130))]
    assert rows[0] == {
        "id": str(last.id),
        "account": ALICE,
        "version": "130",
        "created_at": last.created_at.isoformat(),
        "amount": "10",
        "balance_after": "1300",
        "kind": "gift",
        "reference": "r129",
        "reason": 'Ağ; "2",\nund',
        "corrects": "",
        "owner": "tests",
    }


def test_the_export_follows_search_and_filters(chief):
    credit(1)
    credit(2, BOB)
    credit(3, BOB, kind="fee")
    assert len(exported(chief, f"?q={BOB}")) == 2
    assert [row["kind"] for row in exported(chief, f"?q={BOB}&kind=fee")] == ["fee"]
    assert exported(chief, "?created_at_to=2020-01-01") == []
    assert f"{ENTRIES}export/?kind=fee" in chief.get(f"{ENTRIES}?kind=fee").text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
def test_no_text_in_it_is_taken_for_a_formula(chief, text):
    credit(1, reference=text, reason=text)
    credit(2, kind="-1-1")
    ledger.post(owner=text, key="k", user_id=ALICE, amount=-5, kind="fee")
    by_formula, of_kind, first = exported(chief)
    assert first["reference"] == first["reason"] == by_formula["owner"] == f"'{text}"
    assert of_kind["kind"] == "'-1-1"
    assert by_formula["amount"] == "-5"
