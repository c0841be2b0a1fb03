"""Make an API key; the key, and nothing else, goes to stdout."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.models import ApiKey, Scope, is_owner


class Command(BaseCommand):
    help = "Make an API key for a service or a partner and print it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", required=True, help="who uses it, up to 100 characters")
        parser.add_argument("--scopes", required=True, help=f"a,b of: {', '.join(Scope.values)}")

    def handle(self, *args: Any, owner: str, scopes: str, **options: Any) -> None:
        owner = owner.strip()
        if not is_owner(owner):
            raise CommandError("--owner: any text of 1 to 100 characters.")
        names = sorted({name.strip() for name in scopes.split(",") if name.strip()})
        if not names or not set(names) <= set(Scope.values):
            raise CommandError(f"--scopes: one or more of {', '.join(Scope.values)}.")
        _, secret = ApiKey.issue(owner=owner, scopes=names)
        self.stdout.write(secret)
