"""Write a quiz's document to stdout; importing it again changes nothing."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quizzes.document import read_document
from quizzes.models import QuizVersion


class Command(BaseCommand):
    help = "Print a quiz's newest document (or a given version's) as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--version-number", type=int, help="default: the newest")

    def handle(
        self, *args: Any, slug: str, version_number: int | None = None, **options: Any
    ) -> None:
        versions = QuizVersion.objects.filter(quiz__slug=slug).order_by("-number")
        if version_number is not None:
            versions = versions.filter(number=version_number)
        version = versions.first()
        if version is None:
            raise CommandError(f"There is no such quiz or version: {slug}")
        # jsonb keeps no order of fields: the reader puts them back the way authors write them.
        ordered = read_document(version.document).model_dump(mode="json", exclude_unset=True)
        self.stdout.write(json.dumps(ordered, ensure_ascii=False, indent=1))
