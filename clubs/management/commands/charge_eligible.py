"""Charge everybody who is eligible and was not charged this month."""

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from clubs import eligibility, runs
from clubs.models import ChargeRun
from clubs.months import month_of
from common.serializers import Instant

WIDTH = 30
SECONDS_BETWEEN_LOOKS = 0.3
SECONDS_TO_WAIT_FOR_SHOP = 5


class Command(BaseCommand):
    help = (
        "Charge everybody eligible and uncharged this month, through the worker. It may be "
        "stopped and called again at any time: nobody is charged twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--at",
            type=instant,
            help="charge the month of this instant, and whoever was eligible then and still is",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only say who would be charged; any --at"
        )
        parser.add_argument(
            "--rate",
            type=float,
            default=runs.PER_SECOND,
            help=f"calls to the shop in a second, at most; default {runs.PER_SECOND:g}",
        )

    def handle(
        self, *args: Any, at: datetime | None, dry_run: bool, rate: float, **options: Any
    ) -> None:
        now = timezone.now()
        as_of = at or now
        if dry_run:
            return self.tell(as_of)
        if as_of > now:
            raise CommandError("--at is still to come: only --dry-run looks ahead.")
        if not 0 < rate <= 10_000:
            raise CommandError("--rate: calls in a second, more than 0.")
        run, is_new = runs.start_run(as_of=as_of, rate=rate, now=now)
        self.stdout.write(
            f"{'Charging' if is_new else 'Going on charging'} {run.total:,} subscriptions "
            f"for {run.period:%Y-%m}."
        )
        try:
            self.follow(run)
        except KeyboardInterrupt:
            self.stderr.write("\nThe worker goes on. Call it again to watch.")
            return None
        return self.sum_up(run)

    def tell(self, as_of: datetime) -> None:
        month = month_of(as_of)
        self.stdout.write(f"{month:%Y-%m}, as of {as_of.isoformat()}:")
        for verdict, many in eligibility.count_by_verdict(at=as_of, month=month).items():
            if many or verdict == "chargeable":
                self.stdout.write(f"  {eligibility.VERDICTS[verdict]:30} {many:>10,}")

    def follow(self, run: ChargeRun) -> None:
        shown = ""
        while True:
            run.refresh_from_db()
            if (line := bar(run)) != shown:
                shown = line
                self.stderr.write(f"\r{line}" if self.is_terminal else line, ending=self.ending)
                self.stderr.flush()
            if run.state != ChargeRun.State.RUNNING:
                break
            if runs.has_worker():
                time.sleep(SECONDS_BETWEEN_LOOKS)
            else:
                self.work(run)
        if self.is_terminal:
            self.stderr.write("")

    def work(self, run: ChargeRun) -> None:
        """Without a worker we are it."""
        try:
            runs.advance(run.pk)
        except runs.ShopAway as away:
            self.stderr.write(f"\nThe shop is away ({away}); trying again.")
            time.sleep(SECONDS_TO_WAIT_FOR_SHOP)

    @property
    def is_terminal(self) -> bool:
        return bool(self.stderr.isatty())

    @property
    def ending(self) -> str:
        return "" if self.is_terminal else "\n"

    def sum_up(self, run: ChargeRun) -> None:
        self.stdout.write(
            f"{run.period:%Y-%m}: {run.succeeded:,} charged, {run.failed:,} failed, "
            f"{run.unknown:,} of unknown outcome, {run.passed_over:,} passed over."
        )
        if run.state == ChargeRun.State.STOPPED:
            raise CommandError(f"Stopped: {run.reason}.")


def instant(text: str) -> datetime:
    try:
        at: datetime = Instant().run_validation(text)
    except ValidationError:
        raise ValueError(text) from None
    return at


def bar(run: ChargeRun) -> str:
    share = min(1.0, run.done / run.total) if run.total else 1.0
    filled = round(WIDTH * share)
    return (
        f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%}  {run.done:,} of {run.total:,}"
        f"  failed {run.failed:,}  unknown {run.unknown:,}"
    )
