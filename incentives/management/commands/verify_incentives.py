"""Prove that progress and achievements are what the log of events says."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incentives import proving
from incentives.programmes import look_again_at


class Command(BaseCommand):
    help = "Count everybody's events anew and name those who stand otherwise; exits with 1 then."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="let the workers put them right")

    def handle(self, *args: Any, fix: bool, **options: Any) -> None:
        wrong = set[str]()
        for users in proving.everybody():
            for user_id, line in proving.discrepancies(users):
                self.stdout.write(line)
                wrong.add(user_id)
        if wrong and fix:
            look_again_at(wrong)
        if wrong:
            raise CommandError(f"{len(wrong):,} members stand otherwise than their log says.")
        self.stdout.write("Everybody stands where their log says.")
