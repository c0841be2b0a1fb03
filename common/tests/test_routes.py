"""Finding the view of a path: once for a route without parameters, anew for every other."""

import pytest
from django.urls import Resolver404

from common.middleware import match_of

QUIZ = "/api/v1/quizzes/stock-basics/"


def test_a_route_without_parameters_is_found_once():
    assert match_of("/api/v1/quizzes/") is match_of("/api/v1/quizzes/")
    assert match_of("/api/v1/quizzes/").kwargs == {}


def test_a_path_with_parameters_is_not_kept():
    assert match_of(QUIZ) is not match_of(QUIZ)
    assert match_of(QUIZ).kwargs == {"slug": "stock-basics"}


def test_what_nobody_answers_is_not_kept_either():
    assert match_of("/api/v1/nothing/") is not match_of("/api/v1/nothing/")
    with pytest.raises(Resolver404):
        match_of("/nothing/")


@pytest.mark.urls("common.tests.border")
def test_other_routes_have_their_own():
    assert match_of("/api/v1/border/echo/").route == "api/v1/border/echo/"
    assert match_of("/api/v1/quizzes/").route != "api/v1/quizzes/"
