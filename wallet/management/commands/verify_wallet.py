"""Prove that the wallet adds up; exits with 1 and names the account when it does not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

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
        for line in found:
            self.stderr.write(line)
        if found:
            raise CommandError(f"{len(found)} discrepancies.")
        self.stdout.write("Every balance is the sum of its entries, and every claim was paid once.")
