"""Cursor pages: total order, stable while rows arrive, and forged cursors are bad input."""

import base64

import pytest
from rest_framework.test import APIClient

from common.models import ApiKey, LoadedFixture
from conftest import ALICE

LISTED = "/api/v1/border/listed/"
# The same pages over every kind of column that is a cursor's: text, UUID and numbers.
REAL = ["/api/v1/quizzes/", "/api/v1/attempts/", "/api/v1/wallet/entries/"]
POSTINGS = "/api/v1/wallet/postings/"

pytestmark = pytest.mark.django_db
urls = pytest.mark.urls("common.tests.border")


@pytest.fixture
def rows():
    """r00 … r24"""
    names = [f"r{number:02}" for number in range(25)]
    LoadedFixture.objects.bulk_create([LoadedFixture(name=name) for name in names])
    return names


def get(path, **query):
    return APIClient(headers={"x-zmrn-user-id": ALICE}).get(path, query)


def names(response):
    assert set(response.json()) == {"next", "previous", "results"}
    return [row["name"] for row in response.json()["results"]]


def follow(path, direction="next", **query):
    """All pages from here on."""
    while path:
        response = get(path, **query)
        yield response
        path, query = response.json()[direction], {}


def cursor(text):
    return base64.b64encode(text.encode()).decode()


@urls
@pytest.mark.parametrize("page_size", [1, 2, 7, 24, 25, 26, 100])
def test_the_pages_are_all_rows_once_in_order(rows, page_size):
    pages = [names(page) for page in follow(LISTED, page_size=page_size)]
    assert [name for page in pages for name in page] == rows
    assert all(len(page) == page_size for page in pages[:-1])


@urls
def test_the_previous_pages_are_the_same_ones(rows):
    there = list(follow(LISTED, page_size=10))
    back = list(follow(there[-1].json()["previous"], "previous"))
    assert [names(page) for page in back] == [names(page) for page in there[-2::-1]]
    assert back[-1].json()["previous"] is None


@urls
def test_links_keep_the_page_size_and_the_rest_of_the_query(rows):
    after = get(LISTED, page_size=5, lang="tr").json()["next"]
    assert "page_size=5" in after
    assert "lang=tr" in after
    assert after.startswith("http://testserver/api/v1/border/listed/?")


@urls
def test_pages_are_stable_while_rows_arrive_and_leave(rows):
    first = get(LISTED, page_size=10)
    LoadedFixture.objects.bulk_create([LoadedFixture(name=name) for name in ["a", "r095", "z"]])
    LoadedFixture.objects.filter(name__in=["r03", "r12"]).delete()
    rest = [name for page in follow(first.json()["next"]) for name in names(page)]
    assert rest == ["r095", "r10", "r11", *rows[13:], "z"]


@urls
def test_twenty_are_a_page(rows):
    assert len(names(get(LISTED))) == 20


@urls
def test_no_rows_are_an_empty_page():
    assert get(LISTED).json() == {"next": None, "previous": None, "results": []}


@urls
def test_a_page_costs_one_query(rows, django_assert_num_queries):
    with django_assert_num_queries(1):
        get(LISTED, page_size=10)


@urls
@pytest.mark.parametrize(
    "given",
    [
        "0",
        "-1",
        "101",
        "1000",
        "abc",
        "1e2",
        "5.0",
        " 5",
        "5 ",
        "+5",
        "05",
        "",
        "５",
        "٥",
        "5,6",
        "0x5",
    ],
)
def test_a_page_has_1_to_100_rows(given):
    response = get(LISTED, page_size=given)
    assert response.status_code == 400
    (fault,) = response.json()["errors"]
    assert fault["pointer"] == "/page_size"


FORGED = [
    "",
    " ",
    "x",
    "ü",
    "%",
    cursor("p=1&x=1"),
    cursor("p=1&p"),
    "1",
    "null",
    "../../etc/passwd",
    base64.b64encode(b"\xff\xfe").decode(),
    base64.b64encode(b"p=\x00").decode(),
    cursor(""),
    cursor("nonsense"),
    cursor("p"),
    cursor("p=%00"),
    cursor("o=-1"),
    cursor("o=x"),
    cursor("o=1e3"),
    cursor("o=1001&p=1"),
    cursor("o=99999999999999999999999999"),
    cursor("o=&p=1"),
]


@pytest.mark.parametrize("path", REAL)
@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_cursor_is_bad_input(path, forged):
    response = get(path, cursor=forged)
    assert response.status_code == 400, response.content
    (fault,) = response.json()["errors"]
    assert fault["pointer"] == "/cursor"


@pytest.mark.parametrize(
    "position",
    ["x", "1.5", "１", "' OR 1=1 --", "{}", "9" * 30, "-" + "9" * 30, "NaN", "1" * 5000, "a\x00b"],
)
@pytest.mark.parametrize("path", [*REAL, POSTINGS])
@pytest.mark.parametrize("rest", ["", "&r=1", "&o=3", "&r=1&o=1000"])
def test_a_forged_position_finds_nothing_or_is_bad_input(path, position, rest):
    _, secret = ApiKey.issue(owner="shop", scopes=["wallet.read"])
    client = APIClient(headers={"x-zmrn-user-id": ALICE, "Authorization": f"Bearer {secret}"})
    response = client.get(path, {"cursor": cursor(f"p={position}{rest}")})
    assert response.status_code in (200, 400), response.content
    if response.status_code == 200:
        assert response.json()["results"] == []


@urls
def test_a_cursor_is_no_way_to_other_rows(rows):
    assert names(get(LISTED, cursor=cursor("p=r20"))) == rows[21:]
    assert names(get(LISTED, cursor=cursor("p=r02&r=1"))) == rows[:2]
