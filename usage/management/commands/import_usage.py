"""Import a file of usage; the same file again adds nothing."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from common.models import is_owner
from common.problems import InvalidInput
from usage.importing import import_lines

WIDTH = 40
GOOD = ("created", "replayed")


class Command(BaseCommand):
    help = (
        "Record the usage of a file: CSV with the API's names as columns, or one JSON record a "
        "line (.ndjson, .jsonl). Each has its idempotencyKey; the same file again adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--owner", default="import", help="whose keys they are, as of an API key: %(default)s"
        )

    def handle(self, *args: Any, file: Path, owner: str, **options: Any) -> None:
        owner = owner.strip()
        if not is_owner(owner):
            raise CommandError("--owner: any text of 1 to 100 characters.")
        is_csv = file.suffix.lower() == ".csv"
        counts: Counter[str] = Counter()
        try:
            size = file.stat().st_size
            with file.open("rb") as opened:
                lines = import_lines(opened, is_csv=is_csv, owner=owner, now=timezone.now())
                for line in lines:
                    counts[line.report.partition(":")[0]] += 1
                    self.stdout.write(f"{line.number}: {line.report}")
                    self.show_progress(line.end / size, sum(counts.values()))
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None
        except InvalidInput as refused:
            raise CommandError(f"{file}: {refused.detail}") from None
        finally:
            self.end_progress()
        summary = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
        self.stdout.write(f"{sum(counts.values())} records: {summary or 'none'}.")
        if refused_lines := sum(counts.values()) - sum(counts[word] for word in GOOD):
            raise CommandError(f"{refused_lines} records were refused.")

    def show_progress(self, share: float, lines: int) -> None:
        # Only where somebody looks at it, and where the report goes elsewhere.
        if self.is_watched and (lines % 1000 == 0 or share >= 1):
            bar = "#" * int(WIDTH * share)
            self.stderr.write(f"\r[{bar:.<{WIDTH}}] {share:4.0%} {lines:,}", ending="")
            self.stderr.flush()

    def end_progress(self) -> None:
        if self.is_watched:
            self.stderr.write("")

    @property
    def is_watched(self) -> bool:
        return self.stderr.isatty() and not self.stdout.isatty()
