"""The statuses are part of the schema: they are there after every migration and every flush."""

from typing import Any

from django.apps import apps
from django.db import connections
from django.db.models.signals import post_migrate
from django.dispatch import receiver

from clubs.models import ClubStatus, Status


@receiver(
    post_migrate, sender=apps.get_app_config("clubs"), dispatch_uid="clubs.statuses_are_there"
)
def statuses_are_there(using: str, **kwargs: Any) -> None:
    tables = set(connections[using].introspection.table_names())
    kinds: list[type[ClubStatus] | type[Status]] = [ClubStatus, Status]
    for model in kinds:
        if model._meta.db_table in tables:  # not when the app was just migrated away
            rows: list[Any] = [model(id=number, name=name) for number, name in model.NAMES.items()]
            model._base_manager.using(using).bulk_create(rows, ignore_conflicts=True)
