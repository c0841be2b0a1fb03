"""What publishing would change for learners."""

from quizzes.changes import changes
from quizzes.document import LANGUAGES
from quizzes.tests import fill_gap, matching, multiple_choice, read, single_choice, words

ALL = list(LANGUAGES)


def test_a_first_version_is_new_as_a_whole():
    found = changes(None, [], read(single_choice(), matching()))
    assert [question.key for question in found.added] == ["q-single", "q-matching"]
    assert (found.languages, found.languages_gained) == (ALL, ALL)
    assert (found.changed, found.removed, found.about, found.is_reordered) == ([], [], [], False)
    assert not found.is_nothing


def test_the_same_document_changes_nothing():
    assert changes(read(), ALL, read()).is_nothing


def test_questions_are_told_apart_by_their_keys():
    before = read(single_choice(), multiple_choice(), fill_gap())
    after = read(
        fill_gap(explanation={}),
        single_choice(prompt=words("Else?"), right="a"),
        multiple_choice(key="q-else"),
    )
    found = changes(before, ALL, after)
    assert [question.key for question in found.added] == ["q-else"]
    assert [(question.key, parts) for question, parts in found.changed] == [
        ("q-gap", ["explanation"]),
        ("q-single", ["prompt", "options"]),
    ]
    assert [question.key for question in found.removed] == ["q-multiple"]
    assert found.is_reordered


def test_another_type_is_a_change_of_everything_that_differs():
    found = changes(
        read(single_choice()), ALL, read(matching(key="q-single", prompt=words("Which one?")))
    )
    ((question, parts),) = found.changed
    assert question.key == "q-single"
    assert parts == ["type", "options", "pairs", "distractors", "explanation"]


def test_languages_are_gained_and_lost_against_what_is_offered():
    after = read(single_choice(prompt={"en": "a", "tr": "b"}))
    found = changes(read(), ["en", "de"], after)
    assert found.languages == ["en", "tr"]
    assert (found.languages_gained, found.languages_lost) == (["tr"], ["de"])


def test_title_description_and_feedback_are_named():
    found = changes(read(), ALL, read(title=words("Else"), feedback="deferred"))
    assert found.about == ["title", "feedback"]


def test_a_question_that_only_moved_is_not_changed():
    found = changes(read(single_choice(), matching()), ALL, read(matching(), single_choice()))
    assert (found.changed, found.is_reordered) == ([], True)
