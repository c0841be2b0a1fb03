"""The quiz document: what an author writes, read strictly and judged language by language."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from quizzes.folding import plain

Language = Literal["en", "es", "pt", "de", "tr"]
# The order is also the fallback: the first complete one is offered when nothing else matches.
LANGUAGES: tuple[Language, ...] = ("en", "es", "pt", "de", "tr")

MARKER = re.compile(r"\{\{([^{}]*)\}\}")

Slug = Annotated[str, StringConstraints(pattern=r"^[-a-zA-Z0-9_]{1,100}$")]
# Braces would break a gap's marker; control characters have no business in a name.
Key = Annotated[str, StringConstraints(pattern=r"^[^\s{}\x00-\x1f\x7f]{1,100}$")]
Words = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=5000)]
Text = dict[Language, Words]


def not_blank(words: str) -> str:
    if not is_filled(words):
        raise fault("blank-answer", "An accepted answer is not blank.")
    return words


AcceptedAnswer = Annotated[
    str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1000), AfterValidator(not_blank)
]


class Node(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Option(Node):
    key: Key
    text: Text
    correct: bool = False


class Gap(Node):
    """Typed freely (`accepted`, per language) or picked from `options`."""

    key: Key
    accepted: dict[Language, Annotated[list[AcceptedAnswer], Field(max_length=100)]] = {}
    options: Annotated[list[Option], Field(max_length=50)] = []

    def model_post_init(self, context: Any) -> None:
        if bool(self.accepted) == bool(self.options):
            raise fault("gap", "A gap has either accepted answers or options.")
        if self.options:
            expect_unique_keys(self.options)
            expect_one_correct(self.options)


class Pair(Node):
    key: Key
    left: Text
    right: Text


class Distractor(Node):
    key: Key
    text: Text


class Question(Node):
    key: Key
    explanation: Text = {}

    def texts(self) -> Iterator[tuple[str, Text]]:
        """Every text a learner needs, with its place: all of them make a language complete."""
        raise NotImplementedError

    def lacks(self, language: Language) -> Iterator[str]:
        """What else is missing in this language: a typed answer's key, a marker."""
        return iter(())


class SingleChoice(Question):
    type: Literal["single_choice"]
    prompt: Text
    options: Annotated[list[Option], Field(min_length=2, max_length=50)]

    def model_post_init(self, context: Any) -> None:
        expect_unique_keys(self.options)
        expect_one_correct(self.options)

    def texts(self) -> Iterator[tuple[str, Text]]:
        yield "/prompt", self.prompt
        yield from option_texts(self.options)


class MultipleChoice(Question):
    type: Literal["multiple_choice"]
    prompt: Text
    options: Annotated[list[Option], Field(min_length=2, max_length=50)]

    def model_post_init(self, context: Any) -> None:
        expect_unique_keys(self.options)
        if not any(option.correct for option in self.options):
            raise fault("correct-options", "At least one option must be correct.")

    def texts(self) -> Iterator[tuple[str, Text]]:
        yield "/prompt", self.prompt
        yield from option_texts(self.options)


class FillGap(Question):
    type: Literal["fill_gap"]
    text: Text
    gaps: Annotated[list[Gap], Field(min_length=1, max_length=50)]

    def model_post_init(self, context: Any) -> None:
        expect_unique_keys(self.gaps)

    def texts(self) -> Iterator[tuple[str, Text]]:
        yield "/text", self.text
        for index, gap in enumerate(self.gaps):
            for place, text in option_texts(gap.options):
                yield f"/gaps/{index}{place}", text

    def lacks(self, language: Language) -> Iterator[str]:
        markers = MARKER.findall(self.text.get(language, ""))
        gaps = [gap.key for gap in self.gaps]
        if markers and sorted(markers) != sorted(gaps):
            yield f"/text: markers {sorted(markers)} do not fit the gaps {sorted(gaps)}"
        elif not markers and is_filled(self.text.get(language)):
            yield "/text: no marker for any gap"
        for index, gap in enumerate(self.gaps):
            if not gap.options and not gap.accepted.get(language):
                yield f"/gaps/{index}/accepted: no accepted answer"


class Matching(Question):
    type: Literal["matching"]
    prompt: Text
    pairs: Annotated[list[Pair], Field(min_length=1, max_length=50)]
    distractors: Annotated[list[Distractor], Field(max_length=50)] = []

    def model_post_init(self, context: Any) -> None:
        expect_unique_keys([*self.pairs, *self.distractors])

    def texts(self) -> Iterator[tuple[str, Text]]:
        yield "/prompt", self.prompt
        for index, pair in enumerate(self.pairs):
            yield f"/pairs/{index}/left", pair.left
            yield f"/pairs/{index}/right", pair.right
        for index, distractor in enumerate(self.distractors):
            yield f"/distractors/{index}/text", distractor.text


AnyQuestion = SingleChoice | MultipleChoice | FillGap | Matching


class Document(Node):
    slug: Slug
    feedback: Literal["deferred", "immediate"] = "deferred"
    title: Text
    description: Text = {}
    questions: Annotated[
        list[Annotated[AnyQuestion, Field(discriminator="type")]],
        Field(min_length=1, max_length=200),
    ]

    def model_post_init(self, context: Any) -> None:
        expect_unique_keys(self.questions)

    def question(self, key: str) -> AnyQuestion:
        return next(question for question in self.questions if question.key == key)

    def problems(self, language: Language) -> list[str]:
        """Every place that keeps this language from being offered; empty when it is complete."""
        found = [f"/{name}: missing" for name, text in self._quiz_texts() if lacks(text, language)]
        for index, question in enumerate(self.questions):
            place = f"/questions/{index}"
            found += [f"{place}{at}: missing" for at, t in question.texts() if lacks(t, language)]
            if is_in_any_language(question.explanation) and lacks(question.explanation, language):
                found.append(f"{place}/explanation: missing")
            found += [f"{place}{problem}" for problem in question.lacks(language)]
        return found

    def complete_languages(self) -> list[Language]:
        return [language for language in LANGUAGES if not self.problems(language)]

    def _quiz_texts(self) -> Iterator[tuple[str, Text]]:
        yield "title", self.title
        if is_in_any_language(self.description):
            yield "description", self.description


class DocumentRefused(ValueError):
    """`faults`: `[{pointer, code, detail}]`, each naming its place in the document."""

    def __init__(self, faults: list[dict[str, str]]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{f['pointer'] or '/'}: {f['detail']}" for f in faults))


def read_document(data: object) -> Document:
    """Raises DocumentRefused, with every fault found, unless all of it is well formed."""
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise DocumentRefused([in_the_document(each) for each in found]) from None


def in_the_document(error: ErrorDetails) -> dict[str, str]:
    """pydantic's steps lead through its own: the chosen question type, `[key]` for a map's name."""
    steps, code, detail = list(error["loc"]), error["type"].replace("_", "-"), error["msg"]
    if steps[:1] == ["questions"]:
        del steps[2:3]
    if code.startswith("union-tag"):
        steps.append("type")
        # pydantic would quote what stands there, however long it is.
        code, detail = "question-type", f"Expected one of {', '.join(QUESTION_TYPES)}."
    elif steps[-1:] == ["[key]"] and code != "extra-forbidden":
        steps.pop()
    pointer = "".join(f"/{escape(str(step))}" for step in steps)
    return {"pointer": pointer, "code": code, "detail": detail}


QUESTION_TYPES = ("single_choice", "multiple_choice", "fill_gap", "matching")


def escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def fault(code: str, detail: str) -> PydanticCustomError:
    return PydanticCustomError(code, detail)


def expect_unique_keys(nodes: Iterable[Any]) -> None:
    keys = [node.key for node in nodes]
    if repeated := sorted({key for key in keys if keys.count(key) > 1}):
        raise fault("duplicate-key", f"These keys stand more than once: {', '.join(repeated)}.")


def expect_one_correct(options: Iterable[Option]) -> None:
    if sum(option.correct for option in options) != 1:
        raise fault("correct-options", "Exactly one option must be correct.")


def option_texts(options: Iterable[Option]) -> Iterator[tuple[str, Text]]:
    for index, option in enumerate(options):
        yield f"/options/{index}/text", option.text


def is_filled(words: str | None) -> bool:
    # Nearly every text begins with a letter or digit, and need not be folded to be seen.
    return bool(words and (words[0].isalnum() or plain(words)))


def is_in_any_language(text: Text) -> bool:
    return any(is_filled(words) for words in text.values())


def lacks(text: Text, language: Language) -> bool:
    return not is_filled(text.get(language))
