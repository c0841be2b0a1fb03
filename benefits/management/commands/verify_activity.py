"""Prove that what is kept beside the uses is what the uses say; exits with 1 when it is not."""

from typing import Any

from django.core.management.base import BaseCommand

from benefits import activity
from common.proofs import conclude


class Command(BaseCommand):
    help = "Prove that every benefit's kept figures are those of its uses, week by week."

    def handle(self, *args: Any, **options: Any) -> None:
        conclude(
            self,
            activity.discrepancies(),
            proven="Every week of every benefit adds up.",
            remedy="rebuild_activity puts the figures right.",
        )
