import re
import sys
import unicodedata
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quizzes.document import LANGUAGES
from quizzes.folding import fold, matches

# What learners type where the notes on the field say so: (typed, accepted, language).
SAME = [
    ("İZMİR", "izmir", "tr"),
    ("izmir", "İZMİR", "tr"),
    ("i\u0307zmir", "izmir", "tr"),
    ("I\u0307ZMI\u0307R", "izmir", "tr"),
    ("i\u200b\u0307zmir", "izmir", "tr"),
    ("KIRMIZI", "kırmızı", "tr"),
    ("Kırmızı", "KIRMIZI", "tr"),
    ("ŞİŞLİ ÇĞÖÜ", "şişli çğöü", "tr"),
    ("KÂĞIT", "kâğıt", "tr"),
    ("STRASSE", "Straße", "de"),
    ("STRASSE 5", "Straße 5", "de"),
    ("STRA\u00adSSE", "Straße", "de"),
    ("STRAẞE", "Straße", "de"),
    ("GROẞE STRASSE", "Große Straße", "de"),
    ("straße", "STRAẞE", "de"),
    ("MASSE", "Maße", "de"),
    ("MASSE", "Masse", "de"),
    ("masse", "Masse", "de"),
    ("ÄPFEL", "Äpfel", "de"),
    ("A\u0308PFEL", "Äpfel", "de"),
    ("MAÇÃ", "maçã", "pt"),
    ("AVÓ", "avó", "pt"),
    ("AÑO", "año", "es"),
    ("an\u0303o", "año", "es"),
    ("año", "an\u0303o", "es"),
    ("n\u0303", "ñ", "es"),
    ("don’t", "don't", "en"),
    ("don't", "don’t", "en"),
    (" paris ", "Paris", "en"),
    ("\tnew\u00a0\n york\u3000", "New York", "en"),
    ("0", "0", "en"),
    ("C*", "c*", "en"),
    ("½", "½", "en"),
    ("<b>Paris</b>", "<b>paris</b>", "en"),
]
DIFFERENT = [
    ("kirmizi", "kırmızı", "tr"),
    ("IZMIR", "izmir", "tr"),
    ("izmır", "izmir", "tr"),
    ("KIRMIZI", "kirmizi", "tr"),
    ("Masse", "Maße", "de"),
    ("masse", "Maße", "de"),
    ("Maße", "Masse", "de"),
    ("Maße", "MASSE", "de"),
    ("Strasse", "Straße", "de"),
    ("strasse", "Straße", "de"),
    ("STRASSe", "Straße", "de"),
    ("Straße", "STRASSE", "de"),
    ("APFEL", "Äpfel", "de"),
    ("ano", "año", "es"),
    ("ANO", "año", "es"),
    ("avó", "avô", "pt"),
    ("avo", "avó", "pt"),
    ("MACA", "maçã", "pt"),
    ("Pa ris", "Paris", "en"),
    ("Paris.", "Paris", "en"),
    ("1,5", "1.5", "en"),
    ("1.000", "1000", "en"),
    ("1.000", "1", "de"),
    ("1⁄2", "½", "en"),
    ("x2", "x²", "en"),
    ("Cobol", "C*", "en"),
    ("c", "%", "en"),
    ("c", "_", "en"),
    ("c", ".", "en"),
    ("it's", r"it\'s", "en"),
    ("Paris", "<b>Paris</b>", "en"),
    ("", "Paris", "en"),
    ("one two", "onetwo", "en"),
    ("well known", "well-known", "en"),
    ("０", "0", "en"),
]


@pytest.mark.parametrize(("typed", "accepted", "language"), SAME)
def test_the_same_word_is_right(typed, accepted, language):
    assert matches(typed, accepted, language)


@pytest.mark.parametrize(("typed", "accepted", "language"), DIFFERENT)
def test_another_word_is_wrong(typed, accepted, language):
    assert not matches(typed, accepted, language)


def test_masse_is_never_masse_with_sharp_s():
    assert not matches("Masse", "Maße", "de")
    assert not matches("Maße", "Masse", "de")


def test_capitals_stand_for_sharp_s_without_making_it_another_letter():
    assert matches("MASSE", "Maße", "de")
    assert fold("MASSE", "de") != fold("Maße", "de")


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_sharp_s_is_ss_where_it_is_a_foreign_letter(language):
    assert matches("Strasse", "Straße", language)
    assert matches("STRASSE", "Straße", language)


def test_sharp_s_is_kept_in_turkish():
    assert not matches("Strasse", "Straße", "tr")


def test_the_same_letters_are_judged_by_the_language_they_were_typed_in():
    assert matches("TITLE", "title", "en")
    assert not matches("TITLE", "title", "tr")
    assert matches("TITLE", "tıtle", "tr")
    assert matches("ISIN", "isin", "de")


# The same notes on what everybody else uses: right or wrong by Python's own means, and as needed.
BY_OTHER_MEANS = [
    # typed, key, language, lower, casefold, upper, re.I, needed
    ("İZMİR", "izmir", "tr", False, False, False, True, True),
    ("KIRMIZI", "kırmızı", "tr", False, False, True, True, True),
    ("kirmizi", "kırmızı", "tr", False, False, True, True, False),
    ("STRASSE", "Straße", "de", False, True, True, False, True),
    ("Masse", "Maße", "de", False, True, True, False, False),
    ("ano", "año", "es", False, False, False, False, False),
    ("avó", "avô", "pt", False, False, False, False, False),
    ("n\u0303", "ñ", "es", False, False, False, False, True),
    ("don’t", "don't", "en", False, False, False, False, True),
]


@pytest.mark.parametrize("row", BY_OTHER_MEANS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_verdict_is_the_needed_one_where_no_fold_of_python_gives_it(row):
    typed, key, language, *others, needed = row
    assert [
        typed.lower() == key.lower(),
        typed.casefold() == key.casefold(),
        typed.upper() == key.upper(),
        bool(re.fullmatch(re.escape(key), typed, re.I)),
    ] == others
    assert matches(typed, key, language) is needed


INVISIBLE = [
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad"),
    *("\u200e", "\u200f", "\u061c", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e"),
    *("\u2061", "\u2062", "\u2063", "\u2064", "\u2066", "\u2067", "\u2068", "\u2069"),
    *("\u180e"),
]


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_what_nobody_sees_does_not_count(character):
    for language in LANGUAGES:
        assert fold(f"{character}pa{character}{character}ris{character}", language) == "paris"
        assert fold(character * 3, language) == ""
        assert fold(f" {character} ", language) == ""
        assert fold(f"a\u0301{character}e{character}\u0301", language) == "áé"


SPACES = (
    "\u00a0\u202f\u2007\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a"
    "\u205f\u3000\u1680\u0085\u2028\u2029\t\n\r\v\f"
)


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_any_space_is_one_space_between_words_and_none_around_them(space):
    assert fold(f"new{space}york", "en") == "new york"
    assert fold(f"{space}new{space} {space}york{space}", "en") == "new york"
    assert fold(space, "en") == ""


@pytest.mark.parametrize(
    ("characters", "plain"),
    [
        ("‘’‚‛'", "'"),
        ('“”„‟"', '"'),
        ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212-", "-"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_quotes_and_dashes_are_plain(characters, plain, language):
    for character in characters:
        assert fold(f"a{character}b", language) == f"a{plain}b"


def test_other_marks_are_not_taken_for_quotes_or_dashes():
    kept = "«»‹›′″`´_~/|‖‗x⁰x²½"
    assert fold(kept, "en") == kept


@pytest.mark.parametrize("language", LANGUAGES)
def test_accents_matter(language):
    for accented, bare in zip("áéíóúñçãõâêôàäöüğş", "aeiouncaoaeoaaougs", strict=True):
        assert not matches(accented, bare, language)
        assert not matches(accented.upper(), bare, language)


ALPHABETS = {
    "en": "abcdefghijklmnopqrstuvwxyz",
    "es": "abcdefghijklmnopqrstuvwxyzáéíóúüñ",
    "pt": "abcdefghijklmnopqrstuvwxyzáâãàçéêíóôõú",
    "de": "abcdefghijklmnopqrstuvwxyzäöü",
    "tr": "abcçdefgğhıijklmnoöprsştuüvyzâîû",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_letter_of_the_language_has_one_capital_and_meets_no_other_letter(language):
    alphabet = ALPHABETS[language]
    capitals = [{"i": "İ"}.get(c, c.upper()) if language == "tr" else c.upper() for c in alphabet]
    for (small, capital), other in product(zip(alphabet, capitals, strict=True), alphabet):
        assert matches(capital, other, language) == (small == other)
        assert matches(small, other, language) == (small == other)


LETTERS_THAT_CHANGE = [
    character
    for character in map(chr, range(min(0x30000, sys.maxunicode)))
    if character.lower() != character
    or character.casefold() != character
    or not unicodedata.is_normalized("NFC", character)
    or unicodedata.combining(character)
]


@pytest.mark.parametrize("language", ["en", "de", "tr"])
def test_folding_a_folded_text_changes_nothing_for_any_character(language):
    for character in LETTERS_THAT_CHANGE:
        for text in (character, f"i{character}\u0307", f"I\u0307{character}", f" {character}ß"):
            folded = fold(text, language)
            assert fold(folded, language) == folded, ascii(text)


# The letters that make folding hard, oftener than chance would bring them.
awkward = st.text(st.sampled_from("iıİIsSßẞ\u0307\u0301\u0323\u200b\u00ad \u00a0-–’ǰʼΣσςﬁ"))
texts = awkward | st.text()
languages = st.sampled_from(LANGUAGES)


@settings(deadline=None)
@given(texts, languages)
def test_folding_a_folded_text_changes_nothing(text, language):
    folded = fold(text, language)
    assert fold(folded, language) == folded


@settings(deadline=None)
@given(texts, languages)
def test_a_text_matches_itself_however_it_is_composed_and_padded(text, language):
    assert matches(text, text, language)
    assert matches(unicodedata.normalize("NFD", text), text, language)
    assert matches(unicodedata.normalize("NFC", text), text, language)
    assert matches(f"\u00a0{text}\n", text, language)


@settings(deadline=None)
@given(texts, texts, languages)
def test_invisible_characters_anywhere_change_nothing(before, after, language):
    assert fold(before + "\u200b" + after, language) == fold(before + after, language)


@settings(deadline=None)
@given(st.text(st.characters(categories=("Cs", "Cc", "L", "M"))), languages)
def test_no_text_breaks_folding(text, language):
    assert isinstance(fold(text, language), str)
    assert matches(text, text, language)


def test_a_thousand_characters_fold_as_one():
    assert matches("İ" * 1000, "i" * 1000, "tr")
    assert matches("SS" * 500, "ß" * 500, "de")
