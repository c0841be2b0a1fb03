"""What a learner sees of a question, and the answer bodies that come back. No Django, no database.

Keys are the author's and may give the answer away, so learners get opaque ids: the same key has
the same id in every version, attempt and language of its quiz, and nobody can guess one from
another without the quiz's salt.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from quizzes.document import (
    AnyQuestion,
    Distractor,
    FillGap,
    Language,
    Matching,
    MultipleChoice,
    Pair,
    SingleChoice,
    escape,
)
from quizzes.grading import Answer

LONGEST_TYPED_ANSWER = 1000


class AnswerRefused(ValueError):
    """`faults`: `[{pointer, code, detail}]` in the answer's body."""

    def __init__(self, *faults: dict[str, str]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(f"{f['pointer'] or '/'}: {f['detail']}" for f in faults))


def question_id(salt: bytes, key: str) -> UUID:
    # 5 is "made from a name"; Python 3.11 does not know 8, "made in a way of one's own".
    return UUID(bytes=digest(salt, "question", key)[:16], version=5)


@dataclass(frozen=True)
class Sheet:
    """One question in front of one learner: `salt` is the quiz's, `language` the attempt's."""

    question: AnyQuestion
    salt: bytes
    language: Language

    @cached_property
    def id(self) -> UUID:
        return question_id(self.salt, self.question.key)

    def served(self, seed: bytes) -> dict[str, Any]:
        """The question without its key; `seed` fixes the order of options and right sides."""
        question, language = self.question, self.language
        served: dict[str, Any] = {"id": str(self.id), "type": question.type}
        match question:
            case SingleChoice() | MultipleChoice():
                options = self._texts(self._options, question.options)
                served |= {"prompt": question.prompt[language], "options": shuffled(options, seed)}
            case FillGap():
                served |= {"text": question.text[language], "gaps": []}
                for gap in question.gaps:
                    shown: dict[str, Any] = {"id": gap.key}
                    if gap.options:
                        options = self._texts(self._gap_options[gap.key], gap.options)
                        shown["options"] = shuffled(options, seed)
                    served["gaps"].append(shown)
            case Matching():
                left = [{"id": self._left[p.key], "text": p.left[language]} for p in question.pairs]
                right = [
                    {"id": self._right[p.key], "text": p.right[language]} for p in question.pairs
                ] + self._texts(self._right, question.distractors)
                served |= {
                    "prompt": question.prompt[language],
                    "left": left,
                    "right": shuffled(right, seed),
                }
        return served

    def read(self, body: object) -> Answer:
        """The answer body with keys in place of ids. Raises AnswerRefused, naming the place."""
        match self.question:
            case SingleChoice():
                chosen = only(body, "option")
                return {"option": known(chosen, reverse(self._options), "/option", "option")}
            case MultipleChoice():
                chosen = only(body, "options")
                if not isinstance(chosen, list):
                    raise AnswerRefused(wrong_type("/options", "a list of option ids"))
                options = reverse(self._options)
                keys = [
                    known(each, options, f"/options/{index}", "option")
                    for index, each in enumerate(chosen)
                ]
                return {"options": list(dict.fromkeys(keys))}
            case FillGap():
                return {"gaps": self._read_gaps(only(body, "gaps"), self.question)}
            case Matching():
                chosen = mapping(only(body, "pairs"), "/pairs")
                left, right = reverse(self._left), reverse(self._right)
                return {
                    "pairs": {
                        known(each, left, f"/pairs/{escape(each)}", "left side"): known(
                            other, right, f"/pairs/{escape(each)}", "right side"
                        )
                        for each, other in chosen.items()
                    }
                }

    def written(self, answer: Answer) -> dict[str, Any]:
        """The answer as a body, with ids in place of keys: the inverse of `read`."""
        match self.question:
            case SingleChoice():
                return {"option": self._options[answer["option"]]}
            case MultipleChoice():
                return {"options": [self._options[key] for key in answer["options"]]}
            # In the question's order: an answer from the database has lost its own.
            case FillGap(gaps=gaps):
                given = answer["gaps"]
                return {
                    "gaps": {
                        gap.key: self._gap_options.get(gap.key, {}).get(
                            given[gap.key], given[gap.key]
                        )
                        for gap in gaps
                        if gap.key in given
                    }
                }
            case Matching(pairs=pairs):
                given = answer["pairs"]
                return {
                    "pairs": {
                        self._left[pair.key]: self._right[given[pair.key]]
                        for pair in pairs
                        if pair.key in given
                    }
                }

    def _read_gaps(self, chosen: object, question: FillGap) -> dict[str, str]:
        gaps = {gap.key for gap in question.gaps}
        answer = {}
        for key, given in mapping(chosen, "/gaps").items():
            pointer = f"/gaps/{escape(key)}"
            if key not in gaps:
                raise AnswerRefused(refusal(pointer, "unknown-gap", "There is no such gap."))
            if not isinstance(given, str):
                raise AnswerRefused(wrong_type(pointer, "text"))
            if given and key in self._gap_options:
                given = known(given, reverse(self._gap_options[key]), pointer, "option")
            elif len(given) > LONGEST_TYPED_ANSWER:
                detail = f"At most {LONGEST_TYPED_ANSWER} characters."
                raise AnswerRefused(refusal(pointer, "too-long", detail))
            answer[key] = given
        return answer

    @cached_property
    def _options(self) -> dict[str, str]:
        assert isinstance(self.question, SingleChoice | MultipleChoice)
        return self._ids("option", (option.key for option in self.question.options))

    @cached_property
    def _gap_options(self) -> dict[str, dict[str, str]]:
        assert isinstance(self.question, FillGap)
        return {
            gap.key: self._ids(f"gap/{gap.key}", (option.key for option in gap.options))
            for gap in self.question.gaps
            if gap.options
        }

    @cached_property
    def _left(self) -> dict[str, str]:
        assert isinstance(self.question, Matching)
        return self._ids("left", (pair.key for pair in self.question.pairs))

    @cached_property
    def _right(self) -> dict[str, str]:
        assert isinstance(self.question, Matching)
        sides: list[Pair | Distractor] = [*self.question.pairs, *self.question.distractors]
        return self._ids("right", (side.key for side in sides))

    def _ids(self, kind: str, keys: Iterable[str]) -> dict[str, str]:
        return {key: digest(self.salt, kind, self.question.key, key).hex()[:16] for key in keys}

    def _texts(self, ids: Mapping[str, str], nodes: Iterable[Any]) -> list[dict[str, str]]:
        return [{"id": ids[node.key], "text": node.text[self.language]} for node in nodes]


def digest(salt: bytes, *parts: str) -> bytes:
    # Keys hold no control characters, so this separator cannot be forged by one.
    return hmac.digest(salt, "\x1f".join(parts).encode(), "sha256")


def shuffled(items: Iterable[dict[str, str]], seed: bytes) -> list[dict[str, str]]:
    """The same order for the same seed, on every machine and in every Python."""
    return sorted(items, key=lambda item: hashlib.sha256(seed + item["id"].encode()).digest())


def reverse(ids: Mapping[str, str]) -> dict[str, str]:
    return {value: key for key, value in ids.items()}


def only(body: object, field: str) -> object:
    """The one field that an answer of this type has."""
    fields = mapping(body, "")
    faults = [
        refusal(f"/{escape(name)}", "unknown-field", "This type of question has no such field.")
        for name in fields
        if name != field
    ]
    if field not in fields:
        faults.append(refusal(f"/{field}", "required", "This field is required."))
    if faults:
        raise AnswerRefused(*faults)
    return fields[field]


def mapping(value: object, pointer: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AnswerRefused(wrong_type(pointer, "an object"))
    return value


def known(value: object, keys: Mapping[str, str], pointer: str, what: str) -> str:
    if not isinstance(value, str):
        raise AnswerRefused(wrong_type(pointer, f"the id of a {what}"))
    if value not in keys:
        # Naming the known ones would tell which side an id belongs to.
        raise AnswerRefused(refusal(pointer, f"unknown-{what}".replace(" ", "-"), f"No {what}."))
    return keys[value]


def wrong_type(pointer: str, expected: str) -> dict[str, str]:
    return refusal(pointer, "wrong-type", f"Expected {expected}.")


def refusal(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}
