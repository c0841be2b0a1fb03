"""The demo world: each part is loaded once, whatever people change or delete later."""

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.serializers import deserialize
from django.db import transaction

from common.models import LoadedFixture


def load() -> Iterator[str]:
    """Load the parts not yet loaded, by name, and yield their names."""
    for name, load_part in parts():
        with transaction.atomic():
            _, is_new = LoadedFixture.objects.get_or_create(name=name)
            is_loaded = is_new and load_part()
        if is_loaded:
            yield name


def parts() -> Iterator[tuple[str, Callable[[], bool]]]:
    """The fixtures, then what no fixture can say: what an app's `demo.load` makes of today."""
    for directory in settings.FIXTURE_DIRS:
        for path in sorted(Path(directory).glob("*.json")):
            yield path.name, partial(load_fixture, path)
    for app in apps.get_app_configs():
        # Asked of the app's own folder: a library may have a module of that name for itself.
        is_ours = Path(app.path).parent == settings.BASE_DIR
        if is_ours and app.name != "common" and find_spec(f"{app.name}.demo"):
            yield f"{app.name}.demo", importlib.import_module(f"{app.name}.demo").load


def load_fixture(path: Path) -> bool:
    if is_there(path):
        return False
    call_command("loaddata", str(path), verbosity=0)
    return True


def is_there(path: Path) -> bool:
    """Whether people made it themselves before the first start: then theirs stays.

    A fixture begins with what all the rest of it belongs to.
    """
    with path.open() as file:
        first = next(deserialize("json", file, handle_forward_references=True)).object
    return type(first)._default_manager.filter(pk=first.pk).exists()
