"""Quiz documents to test with: a question of each type, complete in every language.

Keys, texts, explanations and accepted answers are all told apart by their words, so that a test
can look for one of them in what is served.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from quizzes.document import LANGUAGES, AnyQuestion, Document, read_document


def words(text: str) -> dict[str, str]:
    return {language: f"{text} [{language}]" for language in LANGUAGES}


def options(keys: str, right: str) -> list[dict[str, Any]]:
    return [
        {"key": f"opt-{key}", "text": words(f"Choice {key}"), "correct": key in right}
        for key in keys
    ]


def single_choice(keys: str = "abc", right: str = "b", **changes: Any) -> dict[str, Any]:
    return {
        "key": "q-single",
        "type": "single_choice",
        "prompt": words("Which one?"),
        "explanation": words("Because of this"),
        "options": options(keys, right),
        **changes,
    }


def multiple_choice(keys: str = "abcd", right: str = "ab", **changes: Any) -> dict[str, Any]:
    return {
        "key": "q-multiple",
        "type": "multiple_choice",
        "prompt": words("Which ones?"),
        "explanation": words("Because of these"),
        "options": options(keys, right),
        **changes,
    }


def fill_gap(**changes: Any) -> dict[str, Any]:
    """Gap `1` is typed, gap `2` offers options."""
    return {
        "key": "q-gap",
        "type": "fill_gap",
        "text": words("The {{1}} of it is {{2}}."),
        "explanation": words("Because it fits"),
        "gaps": [
            {
                "key": "1",
                "accepted": {lang: [f"accepted {lang}", f"other {lang}"] for lang in LANGUAGES},
            },
            {"key": "2", "options": options("xyz", "y")},
        ],
        **changes,
    }


def typed_gap(*accepted: str, language: str = "en") -> dict[str, Any]:
    return fill_gap(
        text={language: "{{1}}"},
        explanation={},
        gaps=[{"key": "1", "accepted": {language: list(accepted)}}],
    )


def matching(
    pairs: Iterable[str] = "123", distractors: Iterable[str] = "45", **changes: Any
) -> dict[str, Any]:
    return {
        "key": "q-matching",
        "type": "matching",
        "prompt": words("What belongs together?"),
        "explanation": words("Because they belong"),
        "pairs": [
            {"key": f"pair-{key}", "left": words(f"Left {key}"), "right": words(f"Right {key}")}
            for key in pairs
        ],
        "distractors": [
            {"key": f"decoy-{key}", "text": words(f"Right {key}")} for key in distractors
        ],
        **changes,
    }


ONE_OF_EACH = (single_choice, multiple_choice, fill_gap, matching)


def document(*questions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "slug": "stock-basics",
        "feedback": "immediate",
        "title": words("Stocks"),
        "description": words("What they are"),
        "questions": list(questions) or [question() for question in ONE_OF_EACH],
        **changes,
    }


def read(*questions: dict[str, Any], **changes: Any) -> Document:
    return read_document(document(*questions, **changes))


def question(data: dict[str, Any]) -> AnyQuestion:
    return read(data).questions[0]


Steps = tuple[Any, ...]


def places(node: Any, steps: Steps = ()) -> Iterator[Steps]:
    """Every place in some JSON, the whole of it first."""
    yield steps
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from places(inner, (*steps, name))
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from places(inner, (*steps, index))


def at(data: Any, steps: Steps) -> Any:
    for step in steps:
        data = data[step]
    return data


def changed(data: Any, steps: Steps, value: object) -> Any:
    """A copy with another value at this place."""
    if not steps:
        return value
    data = deepcopy(data)
    at(data, steps[:-1])[steps[-1]] = value
    return data


def pointer(steps: Steps) -> str:
    return "".join(f"/{step}" for step in steps)
