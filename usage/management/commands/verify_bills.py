"""Prove that the bills add up; exits with 1 and names the bill when one does not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from usage import proof


class Command(BaseCommand):
    help = "Prove: every total is the sum of its lines, and every line that of its records."

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for found, line in enumerate(proof.discrepancies(), 1):  # noqa: B007
            self.stderr.write(line)
        if found:
            raise CommandError(f"{found} discrepancies.")
        self.stdout.write("Every total is the sum of its lines, and every line of its records.")
