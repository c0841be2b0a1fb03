"""What came past the triggers is found by the proof and mended by making it anew."""

import pytest
from django.core.management import CommandError, call_command

from benefits.models import BenefitUsage
from benefits.tests.factories import NOW, used
from benefits.tests.kept import DAY, execute, proved


@pytest.fixture
def broken(world):
    """Rows that came past the triggers, as a replica's or a restore's do."""
    used(world[0], NOW, NOW - DAY)
    execute("SET LOCAL session_replication_role = replica")
    used(world[1], NOW)
    BenefitUsage.objects.filter(usage_timestamp=NOW - DAY).update(usage_timestamp=NOW - 2 * DAY)
    execute("SET LOCAL session_replication_role = origin")
    return world


def test_the_proof_names_benefit_and_days(broken, capsys):
    with pytest.raises(CommandError, match="rebuild_activity"):
        call_command("verify_activity")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith(f"benefit {broken[0].pk}, 16 days from 2026-06-")
    assert "kept 1 from 2026-06-30" in lines[1] or "kept nothing" in lines[1]


def test_rebuilding_mends_it(broken, capsys):
    call_command("rebuild_activity")
    call_command("verify_activity")
    assert "adds up" in capsys.readouterr().out
    proved()
