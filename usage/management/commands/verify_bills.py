"""Prove that the bills add up; exits with 1 and names the bill when one does not."""

from typing import Any

from django.core.management.base import BaseCommand

from common.proofs import conclude
from usage import proof


class Command(BaseCommand):
    help = "Prove: every total is the sum of its lines, and every line that of its records."

    def handle(self, *args: Any, **options: Any) -> None:
        proven = "Every total is the sum of its lines, and every line of its records."
        conclude(self, proof.discrepancies(), proven=proven)
