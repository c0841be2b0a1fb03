"""Say what keeps quizzes from being offered in each language."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quizzes import authoring
from quizzes.document import read_document
from quizzes.models import Quiz


class Command(BaseCommand):
    help = "Name every missing translation, accepted answer or gap; exits with 1 if there is one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", nargs="*", help="default: every quiz")

    def handle(self, *args: Any, slug: list[str], **options: Any) -> None:
        quizzes = Quiz.objects.filter(slug__in=slug) if slug else Quiz.objects.all()
        if unknown := set(slug) - set(quizzes.values_list("slug", flat=True)):
            raise CommandError(f"There is no such quiz: {', '.join(sorted(unknown))}")
        found = 0
        for quiz in quizzes:
            newest = quiz.versions.order_by("-number").first()
            if newest is None:
                raise CommandError(f"{quiz.slug} has no document.")
            document = read_document(newest.document)
            for line in authoring.report(document):
                self.stdout.write(f"{quiz.slug} {line}")
                found += 1
        if found:
            raise CommandError(f"{found} places are incomplete.")
        self.stdout.write("Every language of every quiz is complete.")
