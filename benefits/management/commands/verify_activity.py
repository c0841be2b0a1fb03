"""Prove that what is kept beside the uses is what the uses say; exits with 1 when it is not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benefits import activity


class Command(BaseCommand):
    help = "Prove that every benefit's kept figures are those of its uses, week by week."

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(activity.discrepancies())
        for line in found:
            self.stderr.write(line)
        if found:
            raise CommandError(f"{len(found)} discrepancies; rebuild_activity mends them.")
        self.stdout.write("Every week of every benefit adds up.")
