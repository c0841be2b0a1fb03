"""Prove that every quiz reward was paid exactly once, wherever the wallet is."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.proofs import conclude
from quizzes import rewards
from wallet.services import WalletAway


class Command(BaseCommand):
    help = "Compare what learners earned with what the wallet paid; exits with 1 on a difference."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = list(rewards.discrepancies())
        except WalletAway as error:
            raise CommandError(f"Nothing is proven: {error}.") from None
        conclude(self, found, proven="Every reward was paid exactly once.")
