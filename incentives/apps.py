from django.apps import AppConfig
from django.db.models.signals import post_migrate


class IncentivesConfig(AppConfig):
    name = "incentives"

    def ready(self) -> None:
        from incentives import receivers, tasks  # noqa: F401  # connect themselves
        from incentives.catalogue import ensure_built_in
        from incentives.partners import checks  # noqa: F401  # registers itself

        post_migrate.connect(ensure_built_in, sender=self, dispatch_uid="incentives.built_in")
