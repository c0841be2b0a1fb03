"""With the wallet elsewhere: what of it can be proven here. With the wallet here its own is run."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.proofs import conclude
from wallet.services import WalletAway, paid_otherwise


class Command(BaseCommand):
    help = "Compare what was earned here with what the wallet paid; exits with 1 on a difference."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = list(paid_otherwise())
        except WalletAway as error:
            raise CommandError(f"Nothing is proven: {error}.") from None
        conclude(self, found, proven="Whatever was earned here was paid exactly once.")
