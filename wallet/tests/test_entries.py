import pytest

from conftest import ALICE, BOB
from wallet import ledger

pytestmark = pytest.mark.django_db
URL = "/api/v1/wallet/entries/"


def credit(amount, user_id=ALICE, **details):
    key = f"{user_id}:{amount}"
    return ledger.post(
        owner="tests", key=key, user_id=user_id, amount=amount, kind="gift", **details
    )


def test_an_entry_says_what_happened_and_why(alice):
    posted = credit(300, reference="order 7", reason="Gül – für dich 🎁")
    page = alice.get(URL).json()
    assert page == {
        "next": None,
        "previous": None,
        "results": [
            {
                "id": posted.id,
                "amount": 300,
                "balance_after": 300,
                "kind": "gift",
                "reference": "order 7",
                "reason": "Gül – für dich 🎁",
                "created_at": posted.created_at.isoformat().replace("+00:00", "Z"),
            }
        ],
    }


def test_the_newest_comes_first_with_the_balance_after_each(alice):
    for amount in [100, 200, -50]:
        credit(amount)
    entries = alice.get(URL).json()["results"]
    assert [(e["amount"], e["balance_after"]) for e in entries] == [
        (-50, 250),
        (200, 300),
        (100, 100),
    ]


def test_other_peoples_entries_are_invisible(bob):
    credit(100)
    credit(5, BOB)
    for response in [bob.get(URL), bob.get(URL, {"user_id": ALICE})]:
        assert [entry["amount"] for entry in response.json()["results"]] == [5]


def test_pages_neither_repeat_nor_miss_an_entry_while_more_arrive(alice):
    for amount in range(1, 11):
        credit(amount)
    seen, url = [], f"{URL}?page_size=3"
    while url:
        page = alice.get(url).json()
        seen += [entry["amount"] for entry in page["results"]]
        url = page["next"]
        credit(1000 + len(seen))
    assert seen == list(range(10, 0, -1))


def test_a_page_leads_back(alice):
    for amount in range(1, 6):
        credit(amount)
    first = alice.get(URL, {"page_size": 2}).json()
    second = alice.get(first["next"]).json()
    assert alice.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize("page_size", ["0", "101", "-1", "ten", "1.5", ""])
def test_a_page_has_1_to_100_entries(alice, page_size):
    response = alice.get(URL, {"page_size": page_size})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/page_size"


@pytest.mark.parametrize("cursor", ["x", "cD0x%00", "cD1hYmM=", "bz0tMQ==", "🎁"])
def test_a_forged_cursor_is_bad_input(alice, cursor):
    response = alice.get(URL, {"cursor": cursor})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/cursor"


def test_a_page_costs_one_query_however_long_the_history(alice, django_assert_num_queries):
    for amount in range(1, 31):
        credit(amount)
    with django_assert_num_queries(1):
        alice.get(URL)
