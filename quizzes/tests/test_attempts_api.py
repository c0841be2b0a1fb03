"""Starting an attempt, taking it up again, looking at it: one open at a time, and fixed."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from quizzes import authoring
from quizzes.models import Attempt
from quizzes.tests import document, matching, single_choice, words
from quizzes.tests.factories import (
    Json,
    answer,
    complete,
    fill_in,
    numbered,
    publish,
    right,
    start,
    take,
)

pytestmark = pytest.mark.django_db

START = "/api/v1/quizzes/stock-basics/attempts/"
LIST = "/api/v1/attempts/"
NOBODYS = "00000000-0000-7000-8000-000000000000"


def fetch(client: APIClient, attempt: Json) -> Json:
    response = client.get(f"{LIST}{attempt['id']}/")
    assert response.status_code == 200
    return dict(response.json())


def test_a_new_attempt_is_201_and_open(alice: APIClient) -> None:
    publish()
    response = alice.post(START)
    assert response.status_code == 201
    attempt = response.json()
    assert UUID(attempt["id"]).version == 7
    assert datetime.fromisoformat(attempt["started_at"]).tzinfo is not None
    assert [each["type"] for each in attempt.pop("questions")] == [
        "single_choice",
        "multiple_choice",
        "fill_gap",
        "matching",
    ]
    assert attempt == {
        "id": attempt["id"],
        "quiz": "stock-basics",
        "language": "en",
        "status": "in_progress",
        "started_at": attempt["started_at"],
        "completed_at": None,
        "answers": {},
        "result": None,
    }


def test_starting_again_is_200_with_the_same_attempt(alice: APIClient) -> None:
    publish()
    first = alice.post(START)
    again = alice.post(START)
    assert again.status_code == 200
    assert again.content == first.content
    assert Attempt.objects.count() == 1


def test_fetching_it_is_the_same_again(alice: APIClient) -> None:
    publish()
    started = alice.post(START)
    assert alice.get(f"{LIST}{started.json()['id']}/").content == started.content


def test_everybody_has_an_attempt_of_their_own(alice: APIClient, bob: APIClient) -> None:
    publish()
    assert start(alice)["id"] != start(bob)["id"]


def test_one_user_may_have_open_attempts_at_several_quizzes(alice: APIClient) -> None:
    publish()
    publish(slug="bonds")
    assert start(alice)["id"] != start(alice, "bonds")["id"]
    assert Attempt.objects.filter(completed_at=None).count() == 2


def test_after_completion_the_next_start_is_a_new_attempt(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    complete(alice, attempt)
    response = alice.post(START)
    assert response.status_code == 201
    assert response.json()["id"] != attempt["id"]
    assert response.json()["answers"] == {}


@pytest.mark.parametrize("body", [{"language": "tr"}, {"user_id": "5"}, {"a": 1}, [], [1], "x", 1])
def test_starting_takes_no_body(alice: APIClient, body: object) -> None:
    publish()
    response = alice.post(START, body, format="json")
    assert response.status_code == 400
    assert response.json()["errors"]
    assert not Attempt.objects.exists()


def test_an_empty_object_is_no_body(alice: APIClient) -> None:
    publish()
    assert alice.post(START, {}, format="json").status_code == 201


def test_answers_are_there_when_one_comes_back(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt, right_at=[0, 2])
    resumed = start(alice)
    assert set(resumed["answers"]) == {question["id"] for question in attempt["questions"]}
    first = attempt["questions"][0]
    assert resumed["answers"][first["id"]] == right(first)
    assert fetch(alice, attempt) == resumed


def test_the_language_is_the_one_it_was_started_in(alice: APIClient) -> None:
    publish()
    attempt = start(alice, language="tr")
    for seen in (
        alice.post(f"{START}?lang=de"),
        alice.get(f"{LIST}{attempt['id']}/?lang=es"),
        alice.get(f"{LIST}{attempt['id']}/", headers={"accept-language": "pt"}),
    ):
        assert seen.json()["language"] == "tr"
        assert seen["Content-Language"] == "tr"
        assert seen.json()["questions"] == attempt["questions"]
    assert attempt["questions"][0]["prompt"] == "Which one? [tr]"


def test_the_next_attempt_may_be_in_another_language(alice: APIClient) -> None:
    publish()
    take(alice, language="tr")
    assert start(alice, language="de")["language"] == "de"


def test_the_order_is_fixed_for_an_attempt_and_fresh_for_the_next(
    client_of: Callable[[str], APIClient],
) -> None:
    publish(single_choice("abcdefgh"), matching("12345678"))
    orders = set()
    for user in range(1, 4):
        client = client_of(str(user))
        attempt = start(client)
        again = [start(client), fetch(client, attempt), fetch(client, attempt)]
        assert all(each["questions"] == attempt["questions"] for each in again)
        orders.add(str(attempt["questions"]))
    assert len(orders) == 3


def test_a_completed_attempt_keeps_its_order(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    complete(alice, attempt)
    assert fetch(alice, attempt)["questions"] == attempt["questions"]


def test_a_completed_attempt_shows_its_result(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    result = complete(alice, attempt).json()
    seen = fetch(alice, attempt)
    assert seen["status"] == "completed"
    assert seen["result"] == result
    assert datetime.fromisoformat(seen["completed_at"]) >= datetime.fromisoformat(
        seen["started_at"]
    )


# Other people's attempts


def calls(client: APIClient, attempt: str, question: str) -> list[Any]:
    path = f"{LIST}{attempt}/"
    answers = f"{path}answers/{question}/"
    return [
        client.get(path),
        client.get(f"{path}?lang=tr"),
        client.put(answers, {"option": "x"}, format="json"),
        client.put(answers, "{", content_type="application/json"),
        client.put(answers),
        client.post(f"{path}complete/"),
        client.post(f"{path}complete/", {"x": 1}, format="json"),
        client.delete(path),
        client.options(path),
    ]


def test_another_persons_attempt_is_as_if_it_did_not_exist(
    alice: APIClient, charlie: APIClient
) -> None:
    publish()
    attempt = start(alice)
    question = attempt["questions"][0]["id"]
    theirs = calls(charlie, attempt["id"], question)
    nobodys = calls(charlie, NOBODYS, question)
    assert [r.status_code for r in theirs] == [r.status_code for r in nobodys]
    assert [told(r) for r in theirs] == [told(r) for r in nobodys]
    assert {r.status_code for r in theirs[:3]} == {404}
    assert fetch(alice, attempt)["answers"] == {}


def told(response: Any) -> tuple[Json, dict[str, str]]:
    body, headers = response.json(), dict(response.headers)
    body.pop("request_id", None)
    del headers["X-Request-ID"], headers["Content-Length"]
    return body, headers


def test_a_user_id_in_body_or_query_changes_nothing(alice: APIClient, charlie: APIClient) -> None:
    publish()
    attempt = start(alice)
    owner = "11111111-1111-4111-8111-111111111111"
    assert charlie.get(f"{LIST}{attempt['id']}/?user_id={owner}").status_code == 404
    assert charlie.get(f"{LIST}?user_id={owner}").json()["results"] == []


@pytest.mark.parametrize("name", ["x", "1", "0", "00000000-0000-7000-8000-00000000000g"])
def test_what_cannot_be_an_attempts_id_is_404(alice: APIClient, name: str) -> None:
    assert alice.get(f"{LIST}{name}/").status_code == 404


# The list


def test_the_list_is_the_callers_own_newest_first(alice: APIClient, bob: APIClient) -> None:
    publish()
    publish(slug="bonds")
    take(alice)
    take(alice, "bonds")
    start(alice)
    start(bob)
    page = alice.get(LIST).json()
    assert [each["quiz"] for each in page["results"]] == ["stock-basics", "bonds", "stock-basics"]
    assert [each["status"] for each in page["results"]] == ["in_progress", "completed", "completed"]
    starts = [each["started_at"] for each in page["results"]]
    assert starts == sorted(starts, reverse=True)


def test_an_entry_of_the_list_says_how_it_went_once_it_is_over(alice: APIClient) -> None:
    publish()
    take(alice, right_at=[0, 1, 2])
    start(alice)
    opened, done = alice.get(LIST).json()["results"]
    assert opened["result"] is None
    assert done["result"] == {"correct": 3, "total": 4, "score": 0.9167}
    assert set(done) == {
        *("id", "quiz", "language", "status", "started_at", "completed_at", "result"),
    }


def test_the_list_can_be_of_one_quiz(alice: APIClient) -> None:
    publish()
    publish(slug="bonds")
    start(alice)
    bonds = start(alice, "bonds")
    page = alice.get(f"{LIST}?quiz=bonds").json()
    assert [each["id"] for each in page["results"]] == [bonds["id"]]
    assert alice.get(f"{LIST}?quiz=no-such-quiz").json()["results"] == []


def test_a_quiz_that_no_slug_can_name_is_refused(alice: APIClient) -> None:
    response = alice.get(f"{LIST}?quiz=%00")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/quiz"


def test_the_list_comes_in_pages_that_lose_and_repeat_nothing(alice: APIClient) -> None:
    publish(*numbered(1))
    for _ in range(5):
        take(alice)
    page = alice.get(f"{LIST}?page_size=2").json()
    seen = [each["id"] for each in page["results"]]
    take(alice)  # what arrives meanwhile is newer than all that is still to come
    while page["next"]:
        page = alice.get(page["next"]).json()
        seen += [each["id"] for each in page["results"]]
    known = [str(pk) for pk in Attempt.objects.order_by("-id").values_list("pk", flat=True)]
    assert seen == known[1:]


@pytest.mark.parametrize("cursor", ["cD1hYmM=", "cD0xMjM=", "cD0lMDA=", "bz0tMQ==", "!", "%C4%B1"])
def test_a_forged_cursor_is_bad_input(alice: APIClient, cursor: str) -> None:
    response = alice.get(f"{LIST}?cursor={cursor}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/cursor"


@pytest.mark.parametrize("page_size", [20, 100])
def test_a_page_costs_one_query_whatever_its_size(
    alice: APIClient, page_size: int, django_assert_num_queries: Any
) -> None:
    for number in range(page_size):
        publish(*numbered(1), slug=f"quiz-{number}")
        take(alice, f"quiz-{number}")
    with django_assert_num_queries(1):
        assert len(alice.get(f"{LIST}?page_size={page_size}").json()["results"]) == page_size


def test_starting_and_fetching_cost_the_same_for_any_quiz(
    alice: APIClient, django_assert_num_queries: Any
) -> None:
    for count in (1, 60):
        publish(*numbered(count), slug=f"of-{count}")
        attempt = start(alice, f"of-{count}")
        with django_assert_num_queries(3):
            start(alice, f"of-{count}")
        with django_assert_num_queries(1):
            fetch(alice, attempt)


# Versions


def edited(**changes: object) -> Json:
    """The first version's questions with another first prompt, and one question more."""
    data = document(feedback="deferred", **changes)
    data["questions"][0]["prompt"] = words("Which one, really?")
    data["questions"].append(single_choice(key="q-added"))
    return data


def republish(data: Json) -> None:
    authoring.import_document(data=data, publish_at=timezone.now())


def test_an_attempt_under_way_stays_on_its_version(alice: APIClient) -> None:
    publish()
    attempt = start(alice)
    fill_in(alice, attempt)
    republish(edited())
    assert start(alice)["questions"] == attempt["questions"]
    result = complete(alice, attempt).json()
    assert (result["correct"], result["total"]) == (4, 4)


def test_the_next_attempt_is_on_the_new_version(alice: APIClient) -> None:
    publish()
    take(alice)
    republish(edited())
    attempt = start(alice)
    assert len(attempt["questions"]) == 5
    assert attempt["questions"][0]["prompt"] == "Which one, really? [en]"


def test_a_draft_is_for_nobody(alice: APIClient) -> None:
    publish()
    authoring.import_document(data=edited())
    assert len(start(alice)["questions"]) == 4


def test_a_question_keeps_its_identity_over_versions_and_languages(
    alice: APIClient, bob: APIClient
) -> None:
    publish()
    before = start(alice)["questions"]
    data = edited()
    data["questions"].reverse()
    republish(data)
    after = {each["type"]: each for each in start(bob, language="tr")["questions"][1:]}
    for question in before[1:]:
        assert ids(after[question["type"]]) == ids(question)


def ids(question: Json) -> set[str]:
    found = {question["id"]}
    for field in ("options", "gaps", "left", "right"):
        for item in question.get(field, []):
            found |= {item["id"], *(option["id"] for option in item.get("options", []))}
    return found


def test_a_question_taken_out_and_put_back_is_the_same(alice: APIClient, bob: APIClient) -> None:
    publish()
    first = start(alice)["questions"][0]["id"]
    without = document(feedback="deferred")
    del without["questions"][0]
    republish(without)
    republish(document(feedback="deferred"))
    assert start(bob)["questions"][0]["id"] == first


def test_a_renamed_key_is_another_question(alice: APIClient, bob: APIClient) -> None:
    publish(single_choice())
    first = start(alice)["questions"][0]
    republish(document(single_choice(key="q-renamed"), feedback="deferred"))
    assert start(bob)["questions"][0]["id"] != first["id"]


def test_a_language_lost_in_a_new_version_does_not_stop_an_attempt(alice: APIClient) -> None:
    publish()
    attempt = start(alice, language="tr")
    data = deepcopy(edited())
    for question in data["questions"]:
        del question["explanation"]["tr"]
    republish(data)
    fill_in(alice, attempt)
    assert complete(alice, attempt).json()["correct"] == 4
    assert start(alice, language="tr")["language"] == "en"


# Archiving


def test_an_archived_quiz_can_be_taken_up_answered_and_completed_but_not_begun(
    alice: APIClient, bob: APIClient
) -> None:
    quiz = publish()
    attempt = start(alice)
    authoring.archive(quiz=quiz, now=timezone.now())
    assert start(alice) == attempt
    assert bob.post(START).status_code == 404
    first = attempt["questions"][0]
    assert answer(alice, attempt, first, right(first)).status_code == 200
    fill_in(alice, attempt)
    assert complete(alice, attempt).json()["reward"]["amount"] == 400
    assert alice.post(START).status_code == 404
