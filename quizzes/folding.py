"""When two typed answers are the same, in the language they were typed in. No Django here."""

import re
import unicodedata

# Soft hyphens, all of zero width, and the marks of writing direction that come with pasted text.
INVISIBLE = {
    **dict.fromkeys(map(ord, "\u00ad\u061c\u180e\ufeff")),
    **dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]),
}
PLAIN = {
    **dict.fromkeys(map(ord, "‘’‚‛"), "'"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
    **dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-"),
}
WHITE_SPACE = re.compile(r"\s+")  # no-break spaces among it
DOTTED_I = re.compile("i\u0307+")


def fold(text: str, language: str) -> str:
    """The form in which answers are compared: accents stay, case goes by the language's rules.

    NFC, not NFKC: `½` is not `1⁄2` and `x²` is not `x2`.
    """
    return fold_case(plain(text), language)


def matches(typed: str, accepted: str, language: str) -> bool:
    if fold(typed, language) == fold(accepted, language):
        return True
    # Capitals have no ß: STRASSE may mean Straße. Lower case does: Masse is never Maße.
    typed = plain(typed)
    return language == "de" and typed.isupper() and sharp_s(typed) == sharp_s(plain(accepted))


def plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).translate(INVISIBLE).translate(PLAIN)
    # Dropping what is invisible may bring a letter and its accent together: compose once more.
    return WHITE_SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def fold_case(text: str, language: str) -> str:
    if language == "tr":
        # `I` and a combining dot compose to `İ` in NFC; lower() makes `i` and a dot of it.
        text = DOTTED_I.sub("i", text.replace("I", "ı").lower())
    elif language == "de":
        text = text.lower()  # casefold() would make Masse and Maße one word
    else:
        text = text.casefold()
    return unicodedata.normalize("NFC", text)


def sharp_s(text: str) -> str:
    return fold_case(text, "de").replace("ß", "ss")
