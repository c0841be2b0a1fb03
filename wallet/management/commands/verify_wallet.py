"""Prove that the wallet adds up; exits with 1 and names the account when it does not."""

from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand

from common.proofs import conclude
from wallet import ledger
from wallet.services import paid_otherwise


class Command(BaseCommand):
    help = (
        "Prove: balance = sum of entries, versions gapless, postings balanced, and whatever "
        "other apps say they paid was paid exactly once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        found = chain(ledger.discrepancies(), paid_otherwise())
        proven = "Every balance is the sum of its entries, and every claim was paid once."
        conclude(self, found, proven=proven)
