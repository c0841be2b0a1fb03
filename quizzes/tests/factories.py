"""Quizzes on offer, and learners who take them: through the API, or quicker through services."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from quizzes import authoring, services
from quizzes.document import Language, Matching
from quizzes.grading import Answer, correct_answer
from quizzes.models import Attempt, Quiz
from quizzes.sheet import Sheet
from quizzes.tests import document, single_choice

Json = dict[str, Any]


def publish(*questions: Json, **changes: Any) -> Quiz:
    """A quiz on offer, by default with deferred feedback and one question of each type."""
    data = document(*questions, **{"feedback": "deferred", **changes})
    authoring.import_document(data=data, publish_at=timezone.now())
    return Quiz.objects.select_related("published").get(slug=data["slug"])


def numbered(count: int) -> list[Json]:
    """`q0`, `q1`, …: single choice, `b` is right."""
    return [single_choice(key=f"q{number}") for number in range(count)]


def start(client: APIClient, slug: str = "stock-basics", *, language: str = "") -> Json:
    path = f"/api/v1/quizzes/{slug}/attempts/"
    response = client.post(path, headers={"accept-language": language})
    assert response.status_code in (200, 201), response.content
    attempt: Json = response.json()
    return attempt


def answer(client: APIClient, attempt: Json, question: Json, body: object) -> Any:
    path = f"/api/v1/attempts/{attempt['id']}/answers/{question['id']}/"
    return client.put(path, body, format="json")


def complete(client: APIClient, attempt: Json) -> Any:
    return client.post(f"/api/v1/attempts/{attempt['id']}/complete/")


def balance(client: APIClient) -> int:
    return int(client.get("/api/v1/wallet/balance/").json()["balance"])


def take(
    client: APIClient,
    slug: str = "stock-basics",
    *,
    right_at: Iterable[int] | None = None,
    language: str = "",
) -> Json:
    """Take a quiz from start to result; right at these questions, by default at all."""
    attempt = start(client, slug, language=language)
    fill_in(client, attempt, right_at)
    response = complete(client, attempt)
    assert response.status_code == 200, response.content
    result: Json = response.json()
    return result


def fill_in(client: APIClient, attempt: Json, right_at: Iterable[int] | None = None) -> None:
    chosen = range(len(attempt["questions"])) if right_at is None else set(right_at)
    for number, question in enumerate(attempt["questions"]):
        body = right(question) if number in chosen else wrong(question)
        assert answer(client, attempt, question, body).status_code == 200


def right(question: Json) -> Json:
    """The right body for one of the questions in quizzes/tests/__init__.py, as it was served."""
    match question["type"]:
        case "single_choice":
            return {"option": id_of("Choice b", question["options"])}
        case "multiple_choice":
            return {"options": [id_of(f"Choice {key}", question["options"]) for key in "ab"]}
        case "fill_gap":
            picked = id_of("Choice y", question["gaps"][1]["options"])
            return {"gaps": {"1": f"accepted {language_of(question)}", "2": picked}}
        case _:
            return {"pairs": pairs(question, "123")}


def wrong(question: Json) -> Json:
    """A whole answer that is wrong, and in parts right where that can be."""
    match question["type"]:
        case "single_choice":
            return {"option": id_of("Choice a", question["options"])}
        case "multiple_choice":
            return {"options": [id_of("Choice a", question["options"])]}
        case "fill_gap":
            return {"gaps": {"1": "no", "2": id_of("Choice y", question["gaps"][1]["options"])}}
        case _:
            return {"pairs": pairs(question, "124")}


def pairs(question: Json, rights: str) -> dict[str, str]:
    """What the left sides 1, 2, 3 are matched with."""
    return {
        id_of(f"Left {left}", question["left"]): id_of(f"Right {right}", question["right"])
        for left, right in zip("123", rights, strict=True)
    }


def id_of(text: str, items: Sequence[Json]) -> str:
    found: str = next(item["id"] for item in items if item["text"].startswith(f"{text} ["))
    return found


def language_of(question: Json) -> str:
    text: str = question.get("prompt") or question["text"]
    return text[-3:-1]


def play(user_id: str, quiz: Quiz, right_at: Iterable[int], language: Language = "en") -> Attempt:
    """What `take` does, without HTTP."""
    attempt, _ = services.start_attempt(
        quiz=quiz, user_id=user_id, language=language, now=timezone.now()
    )
    sheets, chosen = attempt.sheets, set(right_at)
    attempt.answers = {
        sheet.question.key: right_key(sheet) if number in chosen else wrong_key(sheet)
        for number, sheet in enumerate(sheets)
    }
    attempt.save(update_fields=["answers"])
    return services.complete_attempt(attempt_id=attempt.pk, user_id=user_id, now=timezone.now())


def right_key(sheet: Sheet) -> Answer:
    return correct_answer(sheet.question, sheet.language)


def wrong_key(sheet: Sheet) -> Answer:
    assert not isinstance(sheet.question, Matching)
    return {"option": "opt-a"}
