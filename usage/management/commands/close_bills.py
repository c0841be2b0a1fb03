"""Close the bills of a month, or of every past month; done twice it changes nothing."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from django.utils import timezone

from common.problems import Problem
from usage import services
from usage.models import Bill
from usage.reading import read_month


class Command(BaseCommand):
    help = "Close the bills of every past month; usage that comes later goes on an open bill."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--period", metavar="YYYY-MM", help="this month alone")

    def handle(self, *args: Any, period: str | None, **options: Any) -> None:
        try:
            month = None if period is None else read_month(period)
        except ValueError:
            raise CommandError(f"{period} is not a month: YYYY-MM.") from None
        try:
            closing = services.close_months(period=month, now=timezone.now(), by="close_bills")
        except Problem as refused:
            raise CommandError(refused.detail) from None
        if closing is None:
            self.stdout.write("Closed before; nothing changed.")
            return
        months = (closing.first_month, closing.last_month)
        bills = Bill.objects.filter(period__range=months).aggregate(number=Count("pk"))
        self.stdout.write(f"Closed {closing}: {bills['number']} bills.")
