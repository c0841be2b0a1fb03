"""Questions, answers and places in words: what staff read instead of keys. No Django."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from quizzes.document import (
    MARKER,
    AnyQuestion,
    FillGap,
    Gap,
    Language,
    Matching,
    MultipleChoice,
    Option,
    SingleChoice,
    Text,
)
from quizzes.grading import Answer, correct_key, is_gap_right

LANGUAGE_NAMES: dict[Language, str] = {
    "en": "English",
    "es": "Español",
    "pt": "Português",
    "de": "Deutsch",
    "tr": "Türkçe",
}
TYPE_NAMES = {
    "single_choice": "Single choice",
    "multiple_choice": "Multiple choice",
    "fill_gap": "Fill the gap",
    "matching": "Matching",
}


@dataclass(frozen=True)
class Part:
    """One thing given in an answer: `place` names the gap or the left side, if there are such."""

    place: str
    text: str
    is_right: bool


def statement(question: AnyQuestion, language: Language) -> str:
    """What the question says, with a line for every gap."""
    match question:
        case FillGap():
            return MARKER.sub("____", in_language(question.text, language))
        case _:
            return in_language(question.prompt, language)


def given(question: AnyQuestion, answer: Answer, language: Language) -> list[Part]:
    """What was answered, in the question's order."""
    match question:
        case SingleChoice():
            return chosen(question.options, [answer["option"]], language)
        case MultipleChoice():
            return chosen(question.options, answer["options"], language)
        case FillGap():
            return [
                Part(
                    gap_place(question, gap),
                    said(gap, text, language),
                    is_gap_right(gap, text, language),
                )
                for gap in question.gaps
                if (text := answer["gaps"].get(gap.key))
            ]
        case Matching():
            return [
                Part(
                    in_language(pair.left, language),
                    right_side(question, other, language),
                    other == pair.key,
                )
                for pair in question.pairs
                if (other := answer["pairs"].get(pair.key))
            ]


def solution(question: AnyQuestion, language: Language) -> list[Part]:
    """What is right; of a typed gap everything that is accepted."""
    match question:
        case SingleChoice() | MultipleChoice():
            right = [option.key for option in question.options if option.correct]
            return chosen(question.options, right, language)
        case FillGap():
            return [
                Part(
                    gap_place(question, gap),
                    said(gap, correct_key(gap.options), language)
                    if gap.options
                    else " / ".join(gap.accepted.get(language, [])),
                    is_right=True,
                )
                for gap in question.gaps
            ]
        case Matching():
            return [
                Part(in_language(pair.left, language), in_language(pair.right, language), True)
                for pair in question.pairs
            ]


def said(gap: Gap, text: str, language: Language) -> str:
    """A gap's answer: typed text as it is, or the option of that key."""
    options = {option.key: option for option in gap.options}
    return in_language(options[text].text, language) if text in options else text


def right_side(question: Matching, key: str, language: Language) -> str:
    texts = {pair.key: pair.right for pair in question.pairs}
    texts |= {distractor.key: distractor.text for distractor in question.distractors}
    return in_language(texts[key], language) if key in texts else key


def chosen(options: Iterable[Option], keys: Iterable[str], language: Language) -> list[Part]:
    picked = set(keys)
    return [
        Part("", in_language(option.text, language), option.correct)
        for option in options
        if option.key in picked
    ]


def gap_place(question: FillGap, gap: Gap) -> str:
    """The gap's marker; nothing where there is only one."""
    return f"{{{{{gap.key}}}}}" if len(question.gaps) > 1 else ""


def in_language(text: Text, language: Language) -> str:
    return text.get(language) or next((words for words in text.values() if words), "")


def place(pointer: str) -> str:
    """`/questions/2/options/0/text` is "question 3, option 1"."""
    words: list[str] = []
    for step in pointer.split("/")[1:]:
        if step.isdecimal() and words:
            words[-1] = f"{words[-1].removesuffix('s')} {int(step) + 1}"
        else:
            step = step.replace("~1", "/").replace("~0", "~")
            words.append("accepted answers" if step == "accepted" else step)
    if len(words) > 2 and words[-1] == "text":
        words.pop()
    return ", ".join(words) or "the whole document"


# pydantic's own words for what authors do wrong most often, in plainer ones.
PLAINLY = (
    (r"Field required", "Missing."),
    (r"Extra inputs are not permitted", "Not known to this version of the product."),
    (r"List should have at least (\d+) items? .*", r"At least \1 needed."),
    (r"List should have at most (\d+) items? .*", r"At most \1 possible."),
    (r"String should have at most (\d+) characters", r"At most \1 characters."),
)
PATTERNS = {
    "slug": "1 to 100 letters without accents, digits, hyphens or underscores.",
    "key": "1 to 100 characters, without spaces and braces.",
}


def plainly(fault: dict[str, str]) -> str:
    """A fault's detail in words for authors."""
    if fault["code"] == "string-pattern-mismatch":
        return PATTERNS.get(fault["pointer"].rpartition("/")[2], fault["detail"])
    for pattern, words in PLAINLY:
        if found := re.fullmatch(pattern, fault["detail"]):
            return found.expand(words)
    return fault["detail"]
