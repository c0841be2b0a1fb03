"""What came past the triggers is found by the proof and mended by making it anew."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from benefits.tests.factories import NOW, used
from benefits.tests.kept import DAY, execute, proved


@pytest.fixture
def broken(world):
    """Rows that came past the triggers, as a replica's or a restore's do."""
    used(world[0], NOW, NOW - DAY)
    execute("SET LOCAL session_replication_role = replica")
    used(world[1], NOW)
    used(world[0], NOW - 7 * DAY)
    execute("SET LOCAL session_replication_role = origin")
    return world


def test_the_proof_names_benefit_and_week(broken, capsys):
    with pytest.raises(CommandError, match=r"2 discrepancies\. rebuild_activity"):
        call_command("verify_activity")
    monday = NOW.date() - timedelta(days=NOW.weekday())
    assert capsys.readouterr().err.splitlines() == [
        f"benefit {broken[0].pk}, week of {monday - timedelta(days=7)}: kept 0, its uses are 1",
        f"benefit {broken[1].pk}, week of {monday}: kept 0, its uses are 1",
    ]


def test_rebuilding_mends_it(broken, capsys):
    call_command("rebuild_activity")
    call_command("verify_activity")
    assert "adds up" in capsys.readouterr().out
    proved()
