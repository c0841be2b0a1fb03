"""Recompute the kept figures of quizzes from their attempts."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quizzes import standings
from quizzes.models import Quiz


class Command(BaseCommand):
    help = "Make standings equal to what the attempts say; needed only after rows came by SQL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", nargs="*", help="default: every quiz")

    def handle(self, *args: Any, slug: list[str], **options: Any) -> None:
        quizzes = Quiz.objects.filter(slug__in=slug) if slug else Quiz.objects.all()
        if unknown := set(slug) - set(quizzes.values_list("slug", flat=True)):
            raise CommandError(f"There is no such quiz: {', '.join(sorted(unknown))}")
        for quiz in quizzes:
            standings.rebuild(quiz)
        self.stdout.write(f"Rebuilt the standings of {len(quizzes)} quizzes.")
