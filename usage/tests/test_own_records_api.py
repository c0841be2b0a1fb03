"""What a team asks about its own records: how a call ended, and whether all of them landed."""

import hashlib

import pytest

from usage import receipts
from usage.tests.conftest import URL

pytestmark = pytest.mark.django_db
RECEIPT = f"{URL}receipt/"


def digest_of(*lines):
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def test_a_record_is_found_by_its_key(record, team):
    made = record("k1").json()
    page = team.get(URL, {"idempotencyKey": "k1"}).json()
    more = {"idempotencyKey": "k1", "corrects": None, "reason": ""}
    assert page == {"next": None, "previous": None, "results": [{**made, **more}]}
    assert team.get(URL, {"idempotencyKey": "k2"}).json()["results"] == []


def test_records_come_by_key_a_page_at_a_time(record, team):
    for key in ["b", "a", "C", "~", "1"]:
        record(key)
    seen, url = [], f"{URL}?page_size=2"
    while url:
        page = team.get(url).json()
        seen += [each["idempotencyKey"] for each in page["results"]]
        url = page["next"]
    assert seen == ["1", "C", "a", "b", "~"]


def test_a_team_sees_its_own_alone(record, service_of):
    record("k1")
    assert service_of("network", "usage.write").get(URL).json()["results"] == []
    assert len(service_of("hosting", "usage.read").get(URL).json()["results"]) == 1
    assert service_of("hosting", "wallet.read").get(URL).status_code == 403


def test_a_receipt_proves_what_landed(record, team):
    record("k1")
    record("k2", unitsConsumed="0.5", pricePerUnit="0.000001")
    record("K3", unitsConsumed=1, pricePerUnit=14.99)
    assert team.get(RECEIPT).json() == {
        "count": 3,
        "sum": "17.8900005",
        "digest": digest_of("K3 14.99", "k1 2.90", "k2 0.0000005"),
        "firstKey": "K3",
        "lastKey": "k2",
        "isComplete": True,
    }


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"from": "b"}, ["b", "c"]),
        ({"to": "b"}, ["a", "b"]),
        ({"from": "a-", "to": "b"}, ["b"]),
        ({"from": "d"}, []),
        ({"from": "b", "to": "a"}, []),
    ],
)
def test_a_receipt_is_for_a_range_of_keys(record, team, query, keys):
    for key in "cab":
        record(key)
    answer = team.get(RECEIPT, query).json()
    assert answer["count"] == len(keys)
    assert answer["digest"] == digest_of(*(f"{key} 2.90" for key in keys))
    assert (answer["firstKey"], answer["lastKey"]) == (
        (keys[0], keys[-1]) if keys else (None, None)
    )


def test_a_receipt_of_more_than_it_can_cover_says_where_to_go_on(record, team, monkeypatch):
    monkeypatch.setattr(receipts, "MOST_RECORDS", 2)
    for key in "abc":
        record(key)
    first = team.get(RECEIPT).json()
    assert (first["count"], first["lastKey"], first["isComplete"]) == (2, "b", False)
    assert team.get(RECEIPT, {"to": "b"}).json()["isComplete"]


def test_a_receipt_adds_the_largest_amounts_exactly(record, team):
    most = "999999999999.999999"
    for key in "abc":
        record(key, unitsConsumed=most, pricePerUnit=most)
    assert team.get(RECEIPT).json()["sum"] == "2999999999999999994000000.000000000003"


@pytest.mark.parametrize(
    ("url", "query"),
    [
        *((RECEIPT, query) for query in ["from=", "to=%20", "from=a&from=b", "From=a", "cursor=a"]),
        *((URL, query) for query in ["idempotencyKey=%C3%BC", "idempotencykey=k1", "from=a"]),
        (URL, "idempotencyKey=a&idempotencyKey=a"),
        (URL, "page_size=1&page_size=1"),
    ],
)
def test_what_is_no_key_or_no_parameter_is_bad_input(team, url, query):
    response = team.get(f"{url}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == f"/{query.split('=')[0]}"


def test_a_receipt_is_of_the_callers_own(record, service_of):
    record("k1")
    assert service_of("network", "usage.write").get(RECEIPT).json()["count"] == 0
    assert service_of("hosting", "usage.read").get(RECEIPT).json()["count"] == 1
