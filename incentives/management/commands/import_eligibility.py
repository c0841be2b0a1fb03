"""Import who is eligible from a CSV file, whole or not at all."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from incentives.eligibility import COLUMNS, BadFile, Held, import_rows, read_rows
from incentives.models import Employer

HELD = 3


class Command(BaseCommand):
    help = f"Import eligibility from CSV ({','.join(COLUMNS)}), a whole file or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--employer", required=True, help="its slug")
        parser.add_argument("--full", action="store_true", help="who is not in the file has left")
        parser.add_argument(
            "--confirm", action="store_true", help="also where over 20 %% of the members would go"
        )

    def handle(
        self, *args: Any, file: Path, employer: str, full: bool, confirm: bool, **options: Any
    ) -> None:
        found = Employer.objects.filter(slug=employer).first()
        if found is None:
            raise CommandError(f"There is no employer {employer}.")
        try:
            # What is not UTF-8 comes escaped: a strict decoder reads ahead of the line it fails in.
            with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
                rows = read_rows(lines)
            done = import_rows(
                employer=found,
                rows=rows,
                is_full=full,
                is_confirmed=confirm,
                now=timezone.now(),
            )
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
        except BadFile as error:
            raise CommandError(f"Nothing was imported.\n{error}") from None
        except Held as error:
            raise CommandError(
                f"Nothing was imported. {error} If that is right: --confirm.", returncode=HELD
            ) from None
        self.stdout.write(
            f"{done.added:,} new, {done.changed:,} changed, {done.unchanged:,} as before, "
            f"{done.removed:,} left."
        )
