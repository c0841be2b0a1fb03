"""Import a quiz document; the same one again changes nothing."""

from argparse import ArgumentParser
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from common.parsers import parse_json
from common.problems import Problem
from quizzes import authoring
from quizzes.document import DocumentRefused, read_document


class Command(BaseCommand):
    help = "Import a quiz document (one JSON file, all languages) as the quiz's newest version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--publish", action="store_true", help="offer it to learners at once")

    def handle(self, *args: Any, file: Path, publish: bool, **options: Any) -> None:
        try:
            data = parse_json(file.read_bytes().removeprefix(BOM_UTF8))
            imported = authoring.import_document(
                data=data, publish_at=timezone.now() if publish else None
            )
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None
        except Problem as error:
            places = error.extra.get("errors", [])
            lines = [f"{each['pointer']}: {each['detail']}" for each in places]
            raise CommandError("\n".join([f"{file}: {error.detail}", *lines])) from None
        except DocumentRefused as error:
            lines = [f"{each['pointer'] or '/'}: {each['detail']}" for each in error.faults]
            raise CommandError("\n".join([f"{file} is refused:", *lines])) from None
        except authoring.NotPublishable as error:
            raise CommandError(f"{file}: no language is complete.\n{error}") from None
        self.say(imported)

    def say(self, imported: authoring.Imported) -> None:
        version = imported.version
        version.refresh_from_db()
        document = read_document(version.document)
        state = "published" if version.is_published else "draft"
        change = "new" if imported.is_new else "unchanged"
        if imported.is_published_now:
            change += ", published now"
        self.stdout.write(
            f"{document.slug} version {version.number} ({state}): {change}. "
            f"Complete: {' '.join(document.complete_languages()) or 'none'}."
        )
        for line in authoring.report(document):
            self.stdout.write(f"  missing {line}")
