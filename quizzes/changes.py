"""What publishing a version would change for learners. No Django, no database."""

from collections.abc import Sequence
from dataclasses import dataclass

from quizzes.document import LANGUAGES, AnyQuestion, Document, Language

PARTS = ("type", "prompt", "text", "options", "gaps", "pairs", "distractors", "explanation")


@dataclass(frozen=True)
class Changes:
    """`languages` are offered afterwards; a question is the same one by its key."""

    languages: list[Language]
    languages_gained: list[Language]
    languages_lost: list[Language]
    added: list[AnyQuestion]
    changed: list[tuple[AnyQuestion, list[str]]]
    removed: list[AnyQuestion]
    is_reordered: bool
    about: list[str]

    @property
    def is_nothing(self) -> bool:
        return not (
            self.languages_gained
            or self.languages_lost
            or self.added
            or self.changed
            or self.removed
            or self.is_reordered
            or self.about
        )


def changes(before: Document | None, offered: Sequence[str], after: Document) -> Changes:
    """From what learners get now (`before`, in the `offered` languages) to `after`."""
    languages = after.complete_languages()
    old = {question.key: question for question in before.questions} if before else {}
    new = {question.key: question for question in after.questions}
    kept = [key for key in new if key in old]
    return Changes(
        languages=languages,
        languages_gained=[each for each in languages if each not in offered],
        languages_lost=[each for each in LANGUAGES if each in offered and each not in languages],
        added=[question for key, question in new.items() if key not in old],
        changed=[(new[key], parts) for key in kept if (parts := differing(old[key], new[key]))],
        removed=[question for key, question in old.items() if key not in new],
        is_reordered=kept != [key for key in old if key in new],
        about=[
            name
            for name in ("title", "description", "feedback")
            if before and getattr(before, name) != getattr(after, name)
        ],
    )


def differing(before: AnyQuestion, after: AnyQuestion) -> list[str]:
    return [part for part in PARTS if getattr(before, part, None) != getattr(after, part, None)]
