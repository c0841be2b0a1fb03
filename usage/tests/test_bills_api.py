"""`GET /usage/bills/`: what a customer owes, line by line."""

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from django.utils import timezone

from usage import services
from usage.tests.conftest import ALICE, BOB, TAYLOR, URL, statements

pytestmark = pytest.mark.django_db
BILLS = f"{URL}bills/"


def test_a_bill_has_a_line_for_each_service(record, reader):
    record("k1", recordedAt="2026-05-02T00:00:00Z")
    record("k2", recordedAt="2026-05-03T00:00:00Z", unitsConsumed="0.5")
    record("k3", recordedAt="2026-05-03T00:00:00Z", service="CDN Storage", pricePerUnit="2")
    page = reader.get(BILLS, {"customerId": ALICE}).json()
    [bill] = page["results"]
    assert (page["next"], page["previous"]) == (None, None)
    assert bill == {
        "id": bill["id"],
        "customerId": ALICE,
        "period": "2026-05",
        "status": "open",
        "total": "118.925",
        "currency": "USD",
        "lines": [
            {
                "service": "CDN Storage",
                "pricePerUnit": "2.00",
                "unitsConsumed": "58",
                "amount": "116.00",
                "records": 1,
            },
            {
                "service": "Database Hosting",
                "pricePerUnit": "0.05",
                "unitsConsumed": "58.5",
                "amount": "2.925",
                "records": 2,
            },
        ],
    }


def test_two_prices_for_one_service_are_two_lines(record, bills):
    record("k1", pricePerUnit="0.05")
    record("k2", pricePerUnit="0.5", unitsConsumed=1)
    record("k3", pricePerUnit="0.050")
    lines = bills(ALICE)[0]["lines"]
    assert [(line["pricePerUnit"], line["records"]) for line in lines] == [("0.05", 2), ("0.50", 1)]


def test_bills_are_found_by_customer_and_period(record, bills, reader):
    for month in (3, 5, 4):
        record(f"k{month}", recordedAt=f"2026-0{month}-10T00:00:00Z")
    record("bob", customerId=BOB, recordedAt="2026-04-10T00:00:00Z")
    assert [bill["period"] for bill in bills(ALICE)] == ["2026-05", "2026-04", "2026-03"]
    assert [bill["period"] for bill in bills(ALICE, period="2026-04")] == ["2026-04"]
    assert bills(ALICE, period="2026-06") == []
    assert bills(TAYLOR) == []
    found = reader.get(BILLS, {"period": "2026-04"}).json()["results"]
    assert [bill["customerId"] for bill in found] == [BOB, ALICE]
    assert len(reader.get(BILLS).json()["results"]) == 4


@pytest.mark.parametrize("query", [{}, {"customerId": ALICE}])
def test_pages_show_every_bill_once(record, reader, query):
    for month in range(1, 8):
        record(f"k{month}", recordedAt=f"2026-0{month}-10T00:00:00Z")
    url, seen = f"{BILLS}?page_size=3", []
    page = reader.get(url, query).json() if query else reader.get(url).json()
    while True:
        seen += [bill["period"] for bill in page["results"]]
        if not page["next"]:
            break
        page = reader.get(page["next"]).json()
    assert sorted(seen) == sorted({f"2026-0{month}" for month in range(1, 8)})


def test_a_page_costs_the_same_whatever_is_on_it(record, reader):
    def count(bills, lines):
        for month in range(1, bills + 1):
            for line in range(lines):
                moment = f"2025-{month:02}-10T00:00:00Z"
                record(f"{month} {line}".replace(" ", "-"), recordedAt=moment, service=f"s{line}")

    for size in [(1, 1), (6, 4)]:
        count(*size)
        assert statements(lambda: reader.get(BILLS, {"customerId": ALICE})) == 3


@pytest.mark.parametrize("customer", ["999", str(2**63 - 1), str(2**63), "9" * 400])
def test_an_unknown_customer_is_not_found(reader, customers, customer):
    response = reader.get(BILLS, {"customerId": customer})
    assert response.status_code == 404
    assert response.json()["type"] == "urn:problem:unknown-customer"


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"customerId={value}"
            for value in ["", "0", "-1", "1.5", "abc", "１２３", "123%20", "1e2"]
        ),
        "customerId=123&customerId=456",
        *(
            f"period={value}"
            for value in ["", "2026", "2026-13", "2026-00", "2026-1", "2026-11-01"]
        ),
        *(f"period={value}" for value in ["0000-01", "２０２６-11", "2026/11", "now"]),
        "period=2026-11&period=2026-10",
        "cursor=nonsense",
        "page_size=101",
        "customerID=123",
        "CustomerId=456&customerId=123",
        "customerId%20=123",
        "from=a&customerId=123",
        "cursor=x&cursor=y",
        "page_size=1&page_size=2",
    ],
)
def test_a_malformed_parameter_is_bad_input(reader, customers, query):
    response = reader.get(f"{BILLS}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"/{unquote(query.split('=')[0])}"


def test_every_fault_of_the_names_is_told_at_once(reader, customers):
    response = reader.get(f"{BILLS}?customerID=123&period=2026-11&period=2026-11")
    assert [(each["pointer"], each["code"]) for each in response.json()["errors"]] == [
        ("/customerID", "unknown-parameter"),
        ("/period", "repeated"),
    ]


def test_bills_need_the_scope_to_read(team, client_of, reader):
    assert team.get(BILLS).status_code == 403
    assert client_of("5").get(BILLS).status_code == 401
    assert reader.post(BILLS, {}, format="json").status_code == 405


def test_a_bill_of_a_closed_month_says_so(record, bills):
    record("k1", recordedAt="2026-05-10T00:00:00Z")
    record("k2")
    services.close_months(period=datetime(2026, 5, 1, tzinfo=UTC).date(), now=timezone.now(), by="")
    assert [bill["status"] for bill in bills(ALICE)] == ["open", "closed"]
