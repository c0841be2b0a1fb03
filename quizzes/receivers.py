"""What follows from a completed attempt: the coins, and its place among the others."""

from collections.abc import Iterator
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

import wallet.services
from quizzes import rewards, services
from quizzes.models import Attempt


@receiver(post_save, sender=Attempt, dispatch_uid="quizzes.follow_completion")
def follow_completion(instance: Attempt, raw: bool, **kwargs: Any) -> None:
    # `raw` is loaddata: it brings the attempts of another database, whose wallet has paid them.
    if instance.is_completed and not raw:
        services.follow_completion(instance)


@receiver(wallet.services.verifying, dispatch_uid="quizzes.verify_rewards")
def verify_rewards(**kwargs: Any) -> Iterator[str]:
    return rewards.discrepancies()
