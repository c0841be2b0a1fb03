from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "common"
    verbose_name = "Access"

    def ready(self) -> None:
        from common import checks, connections, openapi  # noqa: F401  # they register themselves
