"""The demo world: each fixture is loaded once, whatever people change or delete later."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from common.models import LoadedFixture


def load() -> Iterator[str]:
    """Load the fixtures not yet loaded, by name, and yield their names."""
    for directory in settings.FIXTURE_DIRS:
        for path in sorted(Path(directory).glob("*.json")):
            with transaction.atomic():
                _, is_new = LoadedFixture.objects.get_or_create(name=path.name)
                if is_new:
                    call_command("loaddata", str(path), verbosity=0)
            if is_new:
                yield path.name
