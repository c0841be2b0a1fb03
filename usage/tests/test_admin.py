"""The back office: bills to be read, months to be closed, records to be taken back."""

import csv
import json
from datetime import UTC, datetime
from io import StringIO
from unittest import mock

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from common.tests.races import at_once
from usage import metering, services
from usage.models import Bill, Closing, Customer, UsageRecord
from usage.reading import Usage
from usage.spending import chart_of
from usage.tests.conftest import ALICE, BOB, TAYLOR

pytestmark = pytest.mark.django_db
CUSTOMERS, BILLS = "/admin/usage/customer/", "/admin/usage/bill/"
RECORDS, CLOSINGS = "/admin/usage/usagerecord/", "/admin/usage/closing/"
MAY = datetime(2026, 5, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _customers(customers):
    pass


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


def use(key, customer=ALICE, service="CDN", units="2", price="0.5", at=MAY, owner="hosting"):
    usage = Usage(key, customer, service, units, price, at)
    return metering.record_usage(owner=owner, usage=usage, now=timezone.now())


def listed(client, url):
    return [row.pk for row in client.get(url).context["cl"].result_list]


def rows_of(response):
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(StringIO(text)))


# Customers


def test_a_customer_is_made_and_renamed_and_never_deleted(chief):
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('customer', 'id'), 122)")
    response = chief.post(f"{CUSTOMERS}add/", {"name": "Dora"})
    assert response.status_code == 302
    dora = Customer.objects.get(name="Dora")
    assert dora.pk == TAYLOR + 1
    page = f"{CUSTOMERS}{dora.pk}/change/"
    data = {"bills-TOTAL_FORMS": 0, "bills-INITIAL_FORMS": 0}
    chief.post(page, {"name": "Dorothea", **data})
    assert Customer.objects.get(pk=dora.pk).name == "Dorothea"
    assert chief.post(f"{CUSTOMERS}{dora.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_customer_is_found_by_name_or_id_and_shows_its_bills(chief):
    use("k1")
    use("k2", at=timezone.now())
    assert listed(chief, f"{CUSTOMERS}?q=alice") == listed(chief, f"{CUSTOMERS}?q=123") == [ALICE]
    page = chief.get(f"{CUSTOMERS}{ALICE}/change/").content.decode()
    assert "2026-05" in page
    assert "1.00" in chief.get(CUSTOMERS).content.decode()


# Bills


def test_a_bill_shows_its_lines_its_warning_and_a_chart(chief, django_assert_max_num_queries):
    use("k1")
    use("k2", price="5")
    use("k3", service="<b>bold</b>", at=MAY.replace(day=31))
    bill = Bill.objects.get()
    with django_assert_max_num_queries(15):
        response = chief.get(f"{BILLS}{bill.pk}/change/")
    page = response.content.decode()
    assert "Two prices" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold</b>" not in page
    chart = json.loads(response.context["chart"])
    assert len(chart["labels"]) == 31
    spent = {each["label"]: each["data"] for each in chart["datasets"]}
    assert spent["CDN"][4] == 11
    assert spent["<b>bold</b>"][30] == 1


def test_a_chart_names_the_dearest_services_and_sets_the_late_apart():
    services.close_months(now=timezone.now(), by="")
    for number in range(12):
        use(f"k{number}", service=f"s{number:02}", units=str(number + 1), at=timezone.now())
    use("late", service="s11", units="100")
    chart = chart_of(Bill.objects.get())
    assert chart["labels"][0] == "Earlier"
    names = [each["label"] for each in chart["datasets"]]
    assert names == [*(f"s{n:02}" for n in range(11, 4, -1)), "Other services"]
    assert chart["datasets"][0]["data"][0] == 50
    assert sum(sum(each["data"]) for each in chart["datasets"]) == 50 + sum(range(1, 13)) / 2


def test_bills_are_found_by_what_is_to_be_done_about_them(chief):
    use("k1")
    use("k2", customer=BOB)
    use("k3", customer=BOB, price="5")
    use("k4", at=timezone.now())
    services.close_months(period=MAY.date().replace(day=1), now=timezone.now(), by="")
    alice, bob = (Bill.objects.get(customer=c, period="2026-05-01").pk for c in (ALICE, BOB))
    assert set(listed(chief, f"{BILLS}?status=closed")) == {alice, bob}
    assert len(listed(chief, f"{BILLS}?status=open")) == 1
    assert listed(chief, f"{BILLS}?warning=two-prices") == [bob]
    assert set(listed(chief, f"{BILLS}?month=2026-05")) == {alice, bob}
    assert listed(chief, f"{BILLS}?q=bob") == [bob]
    assert listed(chief, f"{BILLS}?q=456") == [bob]
    assert len(listed(chief, f"{BILLS}?month=nonsense&status=nonsense")) == 3


def test_a_list_of_bills_costs_the_same_however_long(chief, django_assert_max_num_queries):
    for number in range(8):
        use(f"k{number}", at=MAY.replace(month=number % 5 + 1), customer=(ALICE, BOB)[number % 2])
    with django_assert_max_num_queries(7):
        assert len(listed(chief, BILLS)) == 8


def test_bills_are_exported_line_by_line_as_filtered(chief):
    use("k1", service="=cmd()")
    use("k2", customer=BOB)
    found = rows_of(chief.get(f"{BILLS}export/?q=alice"))
    assert [(row["customer"], row["service"], row["amount"]) for row in found] == [
        ("123", "'=cmd()", "1.00")
    ]
    assert len(rows_of(chief.get(f"{BILLS}export/"))) == 2


def close(client, *bills):
    data = {"action": "close_months", "_selected_action": [bill.pk for bill in bills]}
    return client.post(BILLS, data, follow=True)


def test_the_months_of_chosen_bills_are_closed_as_a_whole(chief):
    use("k1")
    use("k2", at=timezone.now())
    page = close(chief, *Bill.objects.all()).content.decode()
    assert "2026-05 is closed" in page
    assert "is not over yet" in page
    assert str(Closing.objects.get()) == "2026-05"
    assert Closing.objects.get().closed_by == "admin"
    assert "was closed before" in close(chief, *Bill.objects.all()).content.decode()


def test_closing_needs_its_permission():
    use("k1")
    viewer = client_with("view_bill", "view_closing")
    assert viewer.get(BILLS).status_code == 200
    close(viewer, Bill.objects.get())
    assert viewer.get(f"{CLOSINGS}add/").status_code == 403
    assert viewer.post(f"{CLOSINGS}add/", {"period": ""}).status_code == 403
    assert not Closing.objects.exists()


def test_months_are_closed_with_a_form(chief):
    assert chief.get(f"{CLOSINGS}add/").status_code == 200
    assert "is not over" in chief.post(f"{CLOSINGS}add/", {"period": "9999-01"}).content.decode()
    assert "A month" in chief.post(f"{CLOSINGS}add/", {"period": "x"}).content.decode()
    assert not Closing.objects.exists()
    chief.post(f"{CLOSINGS}add/", {"period": "2026-05"})
    response = chief.post(f"{CLOSINGS}add/", {"period": ""}, follow=True)
    assert "Closed: up to" in response.content.decode()
    again = chief.post(f"{CLOSINGS}add/", {"period": ""}, follow=True)
    assert "nothing changed" in again.content.decode()
    assert Closing.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", [BILLS, f"{CLOSINGS}add/"])
def test_staff_wait_for_writers_no_longer_than_a_moment_however_many_months(chief, page):
    bills = [use(f"k{month}", at=MAY.replace(month=month)).bill_id for month in (3, 4, 5)]
    data = {"action": "close_months", "_selected_action": bills} if page == BILLS else {}
    with transaction.atomic():
        use("under-way")
        with mock.patch.object(services, "time") as time:
            [answer] = at_once([lambda: chief.post(page, {"period": "", **data}, follow=True)])
    assert time.sleep.call_count == services.TRIES_OF_STAFF - 1
    assert "without a gap" in answer.content.decode()
    assert not Closing.objects.exists()


@pytest.mark.parametrize("page", [BILLS, RECORDS])
def test_nobody_makes_changes_or_deletes_bills_and_records(chief, page):
    use("k1")
    kind = Bill if page == BILLS else UsageRecord
    url = f"{page}{kind.objects.get().pk}/"
    assert chief.get(f"{page}add/").status_code == 403
    assert chief.post(f"{url}change/", {"total": 0}).status_code == 403
    assert chief.post(f"{url}delete/", {"post": "yes"}).status_code == 403


# Records


def test_records_are_found_by_customer_key_and_team(chief, service_of):
    service_of("hosting", "usage.write")
    first = use("k1").id
    other = use("k2", customer=BOB, owner="network").id
    own = use("456", owner="").id
    assert listed(chief, RECORDS) == [own, other, first]
    assert listed(chief, f"{RECORDS}?q=k1") == [first]
    assert listed(chief, f"{RECORDS}?q=456") == [own, other]
    assert listed(chief, f"{RECORDS}?customer=123") == [own, first]
    assert listed(chief, f"{RECORDS}?team=hosting") == [first]
    assert listed(chief, f"{RECORDS}?team=-") == [own]
    assert listed(chief, f"{RECORDS}?month=2026-05") == [own, other, first]
    assert listed(chief, f"{RECORDS}?q={'9' * 30}") == []


def test_records_are_exported_as_filtered(chief):
    use("k1", units="0.000001", price="0.5")
    use("k2", customer=BOB)
    [row] = rows_of(chief.get(f"{RECORDS}export/?q=123"))
    assert (row["units"], row["amount"], row["period"]) == ("0.000001", "0.0000005", "2026-05")


def test_a_record_is_taken_back_with_a_reason_once(chief):
    record = use("k1")
    url = f"{RECORDS}{record.id}/take-back/"
    assert chief.get(f"{RECORDS}{record.id}/change/").status_code == 200
    assert chief.get(url).status_code == 200
    assert "required" in chief.post(url, {"reason": " "}).content.decode()
    response = chief.post(url, {"reason": "wrong customer"}, follow=True)
    assert "Taken back" in response.content.decode()
    made = UsageRecord.objects.get(corrects=record.id)
    assert (made.owner, made.reason, made.amount) == ("", "wrong customer", -1)
    chief.post(url, {"reason": "wrong customer"})
    refused = chief.post(url, {"reason": "another"})
    assert "used with another body" in refused.content.decode()
    assert UsageRecord.objects.count() == 2
    assert (
        "itself a correction"
        in chief.post(f"{RECORDS}{made.pk}/take-back/", {"reason": "x"}).content.decode()
    )


def test_taking_back_needs_its_permission():
    record = use("k1")
    viewer = client_with("view_usagerecord")
    assert viewer.get(f"{RECORDS}{record.id}/change/").status_code == 200
    assert viewer.post(f"{RECORDS}{record.id}/take-back/", {"reason": "x"}).status_code == 403
    assert UsageRecord.objects.count() == 1


@pytest.mark.parametrize("id", [999, 2**63])
def test_what_is_not_there_is_not_taken_back(chief, id):
    assert chief.get(f"{RECORDS}{id}/take-back/").status_code == 404


def test_exports_need_the_permission_to_look():
    stranger = client_with("view_customer")
    for url in (f"{BILLS}export/", f"{RECORDS}export/"):
        assert stranger.get(url).status_code == 403
