"""Prove that the wallet adds up; exits with 1 and names the account when it does not."""

from typing import Any

from django.core.management.base import BaseCommand

from common.proofs import conclude
from wallet import ledger
from wallet.services import verifying


class Command(BaseCommand):
    help = (
        "Prove: balance = sum of entries, versions gapless, postings balanced, and whatever "
        "other apps say they paid was paid exactly once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        found = ledger.discrepancies()
        for _, lines in verifying.send(sender=Command):
            found += lines or []
        proven = "Every balance is the sum of its entries, and every claim was paid once."
        conclude(self, found, proven=proven)
