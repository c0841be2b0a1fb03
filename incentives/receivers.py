"""What is heard of other apps: a completed quiz is an event like any other."""

from collections.abc import Iterator
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

import wallet.services
from incentives import coins, log
from incentives.catalogue import QUIZ_COMPLETED, catalogue
from incentives.models import EventType
from quizzes.signals import quiz_completed

post_save.connect(catalogue.forget, sender=EventType, dispatch_uid="incentives.forget_catalogue")


@receiver(quiz_completed, dispatch_uid="incentives.record_quiz")
def record_quiz(attempt: Any, **kwargs: Any) -> None:
    """In the completion's own transaction: both are there or neither."""
    report = log.Report(
        event_id=str(attempt.pk),
        user_id=attempt.user_id,
        type=QUIZ_COMPLETED,
        occurred_at=attempt.completed_at,
        timezone="",
        data=log.as_text(
            {"quiz": attempt.quiz.slug, "correct": attempt.correct, "total": attempt.total}
        ),
    )
    log.record(owner="quizzes", reports=[report])


@receiver(wallet.services.verifying, dispatch_uid="incentives.verify_coins")
def verify_coins(**kwargs: Any) -> Iterator[str]:
    return coins.discrepancies()
