"""The demo world: each fixture is loaded once, whatever people change or delete later."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.serializers import deserialize
from django.db import transaction

from common.models import LoadedFixture


def load() -> Iterator[str]:
    """Load the fixtures not yet loaded, by name, and yield their names."""
    for directory in settings.FIXTURE_DIRS:
        for path in sorted(Path(directory).glob("*.json")):
            with transaction.atomic():
                _, is_new = LoadedFixture.objects.get_or_create(name=path.name)
                is_new = is_new and not is_there(path)
                if is_new:
                    call_command("loaddata", str(path), verbosity=0)
            if is_new:
                yield path.name


def is_there(path: Path) -> bool:
    """Whether people made it themselves before the first start: then theirs stays.

    A fixture begins with what all the rest of it belongs to.
    """
    with path.open() as file:
        first = next(deserialize("json", file, handle_forward_references=True)).object
    return type(first)._default_manager.filter(pk=first.pk).exists()
