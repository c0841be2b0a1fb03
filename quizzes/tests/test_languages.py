"""Which language a quiz is in: the caller's wish, among those that are complete, as a whole."""

from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from quizzes import authoring
from quizzes.document import LANGUAGES, Language
from quizzes.languages import UnknownLanguage, negotiate, requested_language
from quizzes.tests import changed, document, fill_gap, matching, places, single_choice
from quizzes.tests.factories import Json, answer, complete, fill_in, publish, right, start, take

ALL = LANGUAGES
DETAIL = "/api/v1/quizzes/stock-basics/"


# The header


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("tr", "tr"),
        ("TR", "tr"),
        ("pt-BR", "pt"),
        ("pt-br", "pt"),
        ("es-419", "es"),
        ("de-CH-1996", "de"),
        ("de-Latn-DE-u-co-phonebk", "de"),
        ("fr", "en"),
        ("fr, tr;q=0.5", "tr"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en"),
        ("en;q=0.5, de", "de"),
        ("en;q=0.5,de;q=0.9,tr;q=0.8", "de"),
        ("de;q=0.001, tr;q=0.002", "tr"),
        ("de;q=1.000, tr;q=0.999", "de"),
        ("tr, de", "tr"),
        ("de, tr", "de"),
        ("en-US;q=0.3, en-GB;q=0.9, de;q=0.5", "en"),
        ("en-GB;q=0.9, en-US;q=0.3, de;q=0.5", "en"),
        ("es-MX;q=0, es;q=0.2, fr", "es"),
        (" de ; q = 0.5 , tr ; q=0.4 ", "de"),
        ("DE;Q=0.5", "de"),
        # 0 is "not this one"
        ("en;q=0", "es"),
        ("en;q=0, es;q=0.000", "pt"),
        ("en;q=0, de", "de"),
        ("en;q=0, *", "es"),
        ("*;q=0, tr", "tr"),
        ("*;q=0", "en"),
        ("en;q=0, es;q=0, pt;q=0, de;q=0, tr;q=0", "en"),
        # anything else
        ("*", "en"),
        ("fr, *", "en"),
        ("*;q=0.5, tr", "tr"),
        ("tr;q=0.2, *;q=0.8", "en"),
        ("*, de", "de"),
        # one malformed piece is passed over alone
        ("tr;q=abc, de", "de"),
        ("pt_BR, es", "es"),
        ("de;q=2, es", "es"),
        ("de;q=-1, es", "es"),
        ("de;q=0.5555, es;q=0.1", "es"),
        ("de;q=, es;q=0.1", "es"),
        ("de;level=1, es;q=0.1", "es"),
        (",,;;=, de", "de"),
        ("q=1, de", "de"),
        ("ԁе, tr", "tr"),
        ("de;q=٠.٥, tr", "tr"),
        ("de tr, es", "es"),
        ("\x00, es", "es"),
        ("x" * 5000 + ", es", "es"),
        (";q=0.5", "en"),
        ("deutsch", "en"),
    ],
)
def test_the_header_is_matched_by_base_language_and_weight(header: str, language: str) -> None:
    assert negotiate(ALL, None, header) == language


@pytest.mark.parametrize(
    ("available", "header", "language"),
    [
        (["tr"], "", "tr"),
        (["tr"], "de", "tr"),
        (["tr", "de"], "", "de"),
        (["tr", "es"], "en, fr", "es"),
        (["tr", "de"], "en, tr;q=0.1", "tr"),
        (["tr", "de"], "en, *;q=0.1", "de"),
        (["tr", "de"], "de;q=0", "tr"),
        (["tr", "de"], "de;q=0, *;q=0.5", "tr"),
        (["de"], "de;q=0", "de"),
    ],
)
def test_what_does_not_match_falls_back_to_the_first_that_is_complete(
    available: list[str], header: str, language: str
) -> None:
    assert negotiate(available, None, header) == language


@pytest.mark.parametrize("header", ["", "de", "tr;q=0", "*"])
@pytest.mark.parametrize(
    ("available", "requested", "language"),
    [(ALL, "tr", "tr"), (["es", "tr"], "tr", "tr"), (["es", "de"], "tr", "es")],
)
def test_what_is_asked_for_wins_over_the_header(
    available: list[str], requested: Language, header: str, language: str
) -> None:
    assert negotiate(available, requested, header) == language


@given(st.text(max_size=200), st.sets(st.sampled_from(LANGUAGES), min_size=1))
def test_whatever_the_header_says_one_of_the_available_comes_out(
    header: str, available: set[str]
) -> None:
    assert negotiate(available, None, header) in available


PIECE = st.sampled_from(["de", "tr", "pt-BR", "fr", "*", "de;q=0", "tr;q=0.5", "*;q=0", "es;q=1"])


@given(st.lists(PIECE, max_size=6), st.sets(st.sampled_from(LANGUAGES), min_size=1))
def test_junk_between_the_pieces_changes_nothing(pieces: list[str], available: set[str]) -> None:
    with_junk = [each for piece in pieces for each in ("x_y", piece, ";;", "de;q=9")]
    assert negotiate(available, None, ",".join(pieces)) == negotiate(
        available, None, ",".join(with_junk)
    )


@pytest.mark.parametrize("text", ["de", "DE", "de-AT", "De-ch"])
def test_what_is_asked_for_may_have_a_region_and_capitals(text: str) -> None:
    assert requested_language(text) == "de"


@pytest.mark.parametrize("text", ["xx", "", "deu", "*", "d", "de_AT", "de,en", " de", "ԁе", "ｄｅ"])
def test_what_is_none_of_ours_is_unknown(text: str) -> None:
    with pytest.raises(UnknownLanguage):
        requested_language(text)


# Every call


def every_call(client: APIClient) -> list[tuple[str, str, object]]:
    attempt = start(client)
    [question] = attempt["questions"]
    own = f"/api/v1/attempts/{attempt['id']}/"
    return [
        ("get", "/api/v1/quizzes/", None),
        ("get", DETAIL, None),
        ("post", f"{DETAIL}attempts/", None),
        ("get", f"{DETAIL}progress/", None),
        ("get", "/api/v1/attempts/", None),
        ("get", own, None),
        ("put", f"{own}answers/{question['id']}/", right(question)),
        ("post", f"{own}complete/", None),
        ("get", "/api/v1/progress/", None),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("lang", ["xx", "", "english", "%00", "en,de"])
def test_an_unknown_language_is_400_on_every_call_and_does_nothing(
    alice: APIClient, lang: str
) -> None:
    publish(single_choice())
    for method, path, body in every_call(alice):
        response = getattr(alice, method)(f"{path}?lang={lang}", body, format="json")
        assert response.status_code == 400, path
        assert response.json()["errors"][0]["pointer"] == "/lang"
    attempt = start(alice)
    assert (attempt["answers"], attempt["status"]) == ({}, "in_progress")


@pytest.mark.django_db
def test_every_response_says_its_language_and_that_it_depends_on_the_header(
    alice: APIClient,
) -> None:
    publish(single_choice())
    for method, path, body in every_call(alice):
        headers = {"accept-language": "en"}
        response = getattr(alice, method)(path, body, format="json", headers=headers)
        assert response.status_code in (200, 201), path
        assert response["Content-Language"] == "en"
        assert "Accept-Language" in response["Vary"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/quizzes/none/", "/api/v1/quizzes/?lang=xx"])
def test_a_problem_is_told_in_english(alice: APIClient, path: str) -> None:
    response = alice.get(path, headers={"accept-language": "de"})
    assert response.status_code >= 400
    assert response["Content-Language"] == "en"
    assert "Accept-Language" in response["Vary"]


@pytest.mark.django_db
def test_a_quiz_is_served_in_what_is_asked_for(alice: APIClient) -> None:
    publish()
    response = alice.get(f"{DETAIL}?lang=tr", headers={"accept-language": "de"})
    quiz = response.json()
    assert (quiz["language"], response["Content-Language"]) == ("tr", "tr")
    assert quiz["available_languages"] == list(LANGUAGES)
    assert languages_of(quiz["questions"]) == {"tr"}
    assert quiz["title"] == "Stocks [tr]"


def languages_of(value: object) -> set[str]:
    """The languages that any text below is in: each ends in `[en]` or the like."""
    match value:
        case dict():
            return {found for inner in value.values() for found in languages_of(inner)}
        case list():
            return {found for inner in value for found in languages_of(inner)}
        case str() if value.endswith("]"):
            return {value[-3:-1]}
        case _:
            return set()


@pytest.mark.django_db
def test_each_quiz_of_the_list_is_in_its_own_best_language(alice: APIClient) -> None:
    publish(slug="all")
    publish(slug="two", title={"en": "Two [en]", "de": "Zwei [de]"}, description={})
    response = alice.get("/api/v1/quizzes/", headers={"accept-language": "tr, de;q=0.5"})
    first, second = response.json()["results"]
    assert (first["language"], second["language"]) == ("tr", "de")
    assert (first["title"], second["title"]) == ("Stocks [tr]", "Zwei [de]")
    assert response["Content-Language"] == "de, tr"


# A quiz falls back as a whole


def text_places(data: Json) -> list[tuple[Any, ...]]:
    """Every text of the document in Turkish."""
    return [place for place in places(data) if place[-1:] == ("tr",)]


WHOLE = document(single_choice(), fill_gap(), matching(), feedback="deferred")


@pytest.mark.django_db
@pytest.mark.parametrize("place", text_places(WHOLE), ids=lambda steps: "/".join(map(str, steps)))
def test_one_text_missing_and_the_language_is_not_offered(
    alice: APIClient, place: tuple[Any, ...]
) -> None:
    *parents, language = place
    node: Any = WHOLE
    for step in parents:
        node = node[step]
    data = changed(WHOLE, tuple(parents), {k: v for k, v in node.items() if k != language})
    authoring.import_document(data=data, publish_at=timezone.now())
    quiz = alice.get(f"{DETAIL}?lang=tr").json()
    assert (quiz["language"], quiz["available_languages"]) == ("en", ["en", "es", "pt", "de"])
    assert languages_of(quiz) == {"en"}
    attempt = start(alice, language="tr, es;q=0.3")
    assert (attempt["language"], languages_of(attempt["questions"])) == ("es", {"es"})


@pytest.mark.django_db
def test_a_quiz_in_one_language_is_in_that_one_whatever_is_asked_for(alice: APIClient) -> None:
    data = {
        "slug": "stock-basics",
        "title": {"tr": "Hisse"},
        "questions": [
            {
                "key": "q",
                "type": "fill_gap",
                "text": {"tr": "{{1}}"},
                "gaps": [{"key": "1", "accepted": {"tr": ["tahvil"]}}],
            }
        ],
    }
    authoring.import_document(data=data, publish_at=timezone.now())
    for query in ("", "?lang=en", "?lang=tr"):
        quiz = alice.get(f"{DETAIL}{query}").json()
        assert (quiz["language"], quiz["available_languages"]) == ("tr", ["tr"])
    attempt = start(alice)
    answer(alice, attempt, attempt["questions"][0], {"gaps": {"1": "TAHVİL"}})
    assert complete(alice, attempt).json()["correct"] == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "accepted", "typed", "is_right"),
    [
        ("tr", "kırmızı", "KIRMIZI", True),
        ("tr", "izmir", "İZMİR", True),
        ("tr", "izmir", "IZMIR", False),
        ("tr", "izmir", "i\u0307zmir", True),
        ("en", "izmir", "IZMIR", True),
        ("en", "kırmızı", "KIRMIZI", False),
        ("de", "Straße", "STRASSE", True),
        ("de", "Maße", "Masse", False),
        ("es", "año", "an\u0303o", True),
        ("es", "año", "ano", False),
        ("pt", "maçã", " MAÇÃ ", True),
        ("pt", "avô", "avó", False),
        ("en", "don't", "don’t", True),
        ("en", "Paris", "Pa ris", False),
    ],
)
def test_typed_text_is_compared_by_the_language_of_the_attempt(
    alice: APIClient, language: str, accepted: str, typed: str, is_right: bool
) -> None:
    gap = {"key": "1", "accepted": {each: [accepted] for each in LANGUAGES}}
    publish(fill_gap(text=dict.fromkeys(LANGUAGES, "{{1}}"), gaps=[gap]))
    attempt = start(alice, language=language)
    # The language of later calls is nobody's business.
    [question] = attempt["questions"]
    path = f"/api/v1/attempts/{attempt['id']}/answers/{question['id']}/?lang=en"
    alice.put(path, {"gaps": {"1": typed}}, format="json")
    assert complete(alice, attempt).json()["questions"][0]["is_correct"] is is_right


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_can_be_taken_right(alice: APIClient, language: str) -> None:
    publish()
    result = take(alice, language=language)
    assert result["correct"] == result["total"] == 4
    assert languages_of([each["explanation"] for each in result["questions"]]) == {language}


@pytest.mark.django_db
def test_a_result_is_the_same_in_any_language_asked_for(alice: APIClient) -> None:
    publish()
    attempt = start(alice, language="de")
    fill_in(alice, attempt)
    path = f"/api/v1/attempts/{attempt['id']}/complete/"
    answers = {alice.post(f"{path}?lang={language}").content for language in LANGUAGES}
    assert len(answers) == 1
