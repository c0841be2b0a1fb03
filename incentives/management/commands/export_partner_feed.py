"""Write a partner's feed as CSV: the same lines that it can pull."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from incentives.models import Partner
from incentives.partners import feed
from incentives.partners.contract import csv_lines


class Command(BaseCommand):
    help = "Write a partner's feed to stdout, as CSV in the order of its sequence."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--partner", required=True, metavar="SLUG")
        parser.add_argument(
            "--after", type=int, default=0, metavar="SEQUENCE", help="only what came later"
        )

    def handle(self, *args: Any, partner: str, after: int, **options: Any) -> None:
        if not Partner.objects.filter(slug=partner).exists():
            raise CommandError(f"There is no partner {partner}.")
        if not 0 <= after < 2**63:
            raise CommandError("--after: the last sequence that the partner has, or 0.")
        with transaction.atomic():  # the cursor on the server needs one
            for line in csv_lines(feed.entries_after(partner, after).iterator(chunk_size=1000)):
                self.stdout.write(line, ending="")
