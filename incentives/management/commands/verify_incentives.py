"""Prove that progress and achievements are what the log of events says."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from common.proofs import conclude
from incentives import proving
from incentives.programmes import look_again_at


class Command(BaseCommand):
    help = "Count everybody's events anew and name those who stand otherwise; exits with 1 then."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="let the workers put them right")

    def handle(self, *args: Any, fix: bool, **options: Any) -> None:
        found = [each for users in proving.everybody() for each in proving.discrepancies(users)]
        if found and fix:
            look_again_at({user_id for user_id, _ in found})
        conclude(
            self,
            (line for _, line in found),
            proven="Everybody stands where their log says.",
            remedy="The workers put it right now."
            if fix
            else "--fix lets the workers put it right.",
        )
