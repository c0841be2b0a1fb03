"""Which language a quiz is served in: the caller's wish against the complete ones."""

import re
from collections.abc import Iterable
from decimal import Decimal

from quizzes.document import LANGUAGES, Language

# A language range and its weight; whatever does not look like this is passed over by itself.
RANGE = re.compile(
    r"\s*(?P<range>\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)\s*"
    r"(?:;\s*q\s*=\s*(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII | re.IGNORECASE,
)


class UnknownLanguage(ValueError):
    """`?lang=` names none of ours."""


def requested_language(text: str) -> Language:
    base = text.lower().partition("-")[0]
    for language in LANGUAGES:
        if language == base:
            return language
    raise UnknownLanguage(text)


def preferences(header: str) -> dict[str, Decimal]:
    """`Accept-Language` by base language (`pt-BR` → `pt`), and `*`; 0 means not acceptable."""
    weights: dict[str, Decimal] = {}
    for piece in header.split(",")[:50]:
        if found := RANGE.fullmatch(piece):
            base = found["range"].lower().partition("-")[0]
            weight = Decimal(found["weight"] or 1)
            weights[base] = max(weight, weights.get(base, weight))
    return weights


def negotiate(available: Iterable[str], requested: Language | None, header: str) -> Language:
    """One of `available` (not empty): the wish, else the best weight, else the first of ours."""
    offered = set(available)
    in_order = [language for language in LANGUAGES if language in offered]
    if requested is not None:
        return requested if requested in in_order else in_order[0]
    weights = preferences(header)
    named = {language: weights[language] for language in weights if language in in_order}
    for language in in_order:
        if language not in named and "*" in weights:
            named[language] = weights["*"]
    # The header's own order breaks ties: a dict keeps it, and max() takes the first.
    if wanted := {language: weight for language, weight in named.items() if weight}:
        return max(wanted, key=lambda language: wanted[language])
    refused = {language for language, weight in named.items() if not weight}
    return next((each for each in in_order if each not in refused), in_order[0])
