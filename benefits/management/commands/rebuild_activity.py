"""Make what is kept beside the uses equal to the uses."""

from typing import Any

from django.core.management.base import BaseCommand

from benefits import activity


class Command(BaseCommand):
    help = (
        "Add the uses up again; needed only after rows came past the triggers "
        "(session_replication_role, DISABLE TRIGGER). Recordings wait meanwhile."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Rebuilt {activity.rebuild():,} rows of activity.")
