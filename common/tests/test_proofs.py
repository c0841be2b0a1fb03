"""A proof ends with a word that can be believed, and a status that scripts can."""

from io import StringIO

import pytest
from django.core.management.base import BaseCommand, CommandError

from common.proofs import conclude


@pytest.fixture
def command():
    return BaseCommand(stdout=StringIO(), stderr=StringIO(), no_color=True)


def written(command):
    return command.stdout._out.getvalue(), command.stderr._out.getvalue()


def test_what_is_right_is_said_to_be_so(command):
    conclude(command, [], proven="All adds up.", remedy="Mend it.")
    assert written(command) == ("All adds up.\n", "")


@pytest.mark.parametrize(
    ("many", "told"),
    [(1, "1 discrepancy."), (2, "2 discrepancies."), (1234, "1,234 discrepancies.")],
)
def test_every_discrepancy_has_a_line_and_they_are_counted(command, many, told):
    with pytest.raises(CommandError) as refused:
        conclude(command, (f"account {n}" for n in range(many)), proven="All adds up.")
    assert str(refused.value) == told
    assert refused.value.returncode == 1
    assert written(command) == ("", "".join(f"account {n}\n" for n in range(many)))


def test_a_remedy_is_named_after_the_number(command):
    with pytest.raises(CommandError, match=r"^1 discrepancy\. Do this\.$"):
        conclude(command, ["account 7"], proven="All adds up.", remedy="Do this.")
