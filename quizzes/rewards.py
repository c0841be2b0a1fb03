"""Proof that what was earned was paid: every newly correct question, exactly once."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from django.db import connection
from django.db.models import Sum

import wallet.services
from quizzes.models import QuestionReward

ATTEMPTS_AT_ONCE = 500

UNREWARDED = """
SELECT DISTINCT attempt.user_id, attempt.id, question.key
FROM quizzes_attempt attempt
CROSS JOIN LATERAL jsonb_each(attempt.grades) AS grade
JOIN quizzes_question question ON question.quiz_id = attempt.quiz_id AND question.key = grade.key
WHERE attempt.completed_at IS NOT NULL
  AND (grade.value->>0)::bool
  AND NOT EXISTS (
      SELECT FROM quizzes_questionreward reward
      WHERE reward.user_id = attempt.user_id AND reward.question_id = question.id
  )
ORDER BY 1, 2, 3
"""


def discrepancies() -> Iterator[str]:
    """What was earned and not paid, paid twice or paid wrongly; a line each, naming the account."""
    with connection.cursor() as cursor:
        cursor.execute(UNREWARDED)
        for user_id, attempt, key in cursor.fetchall():
            yield f"account {user_id}: question {key} of attempt {attempt} was never rewarded"
    earned = (
        QuestionReward.objects.values_list("attempt", "user_id")
        .annotate(Sum("amount"))
        .order_by("attempt")
        .iterator(chunk_size=ATTEMPTS_AT_ONCE)
    )
    while chunk := list(islice(earned, ATTEMPTS_AT_ONCE)):
        yield from compare({str(attempt): (user, coins) for attempt, user, coins in chunk})


def compare(earned: dict[str, tuple[str, int]]) -> Iterator[str]:
    paid: Counter[tuple[str, str, int]] = Counter()
    for payment in wallet.services.payments(kind="quiz_reward", references=earned):
        paid[payment.reference, payment.user_id, payment.amount] += 1
    for reference, (user_id, coins) in earned.items():
        times = paid.pop((reference, user_id, coins), 0)
        if times != 1:
            yield f"account {user_id}: {coins} coins of attempt {reference} were paid {times} times"
    for (reference, user_id, amount), times in paid.items():
        yield f"account {user_id}: {amount} coins of attempt {reference} paid {times}x, not earned"
