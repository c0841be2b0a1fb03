"""The key of a development set-up."""

from functools import partial

from common.tests.races import at_once
from config.secret_key import development_secret_key


def test_all_who_start_at_the_same_moment_have_the_same_key(tmp_path):
    for number in range(20):
        make = partial(development_secret_key, tmp_path / str(number))
        assert len(set(at_once([make] * 8))) == 1
