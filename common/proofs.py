"""How a command that proves something ends: with what it proved, or with every discrepancy."""

from collections.abc import Iterable

from django.core.management.base import BaseCommand, CommandError


def conclude(command: BaseCommand, lines: Iterable[str], *, proven: str, remedy: str = "") -> None:
    """A discrepancy a line, to stderr, and then a CommandError; `proven` when there is none."""
    many = 0
    for many, line in enumerate(lines, 1):  # noqa: B007
        command.stderr.write(line)
    if many:
        count = "1 discrepancy." if many == 1 else f"{many:,} discrepancies."
        raise CommandError(f"{count} {remedy}".rstrip())
    command.stdout.write(proven)
