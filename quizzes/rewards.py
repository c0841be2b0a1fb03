"""Proof that what was earned was paid: every newly correct question, exactly once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from uuid import UUID

from django.db import connection
from django.db.models import Sum

import wallet.services
from common.identity import CANONICAL_UUID
from quizzes.models import QuestionReward
from quizzes.services import OWNER, REWARD
from wallet.services import Payment

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
    # Closed whatever happens: a cursor that outlives its transaction is the end of the next one.
    with closing(earned):  # type: ignore[type-var]  # it is a generator
        while chunk := list(islice(earned, ATTEMPTS_AT_ONCE)):
            yield from not_paid_once(
                {str(attempt): (user, coins) for attempt, user, coins in chunk}
            )
    with closing(wallet.services.payments(owner=OWNER, kind=REWARD)) as paid:
        while some := list(islice(paid, ATTEMPTS_AT_ONCE)):
            yield from not_earned(some)


def not_paid_once(earned: dict[str, tuple[str, int]]) -> Iterator[str]:
    paid = defaultdict(list)
    # Whoever else pays for one of these pays for it a second time.
    for payment in wallet.services.payments(kind=REWARD, references=earned):
        paid[payment.reference].append(payment)
    for reference, (user_id, coins) in earned.items():
        payments = paid[reference]
        times = payments.count(Payment(reference, user_id, coins))
        if times != 1:
            yield f"account {user_id}: {coins} coins of attempt {reference} were paid {times} times"
        elif len(payments) > 1:
            yield f"account {user_id}: attempt {reference} was paid for {len(payments)} times"


def not_earned(paid: Sequence[Payment]) -> Iterator[str]:
    attempts = [UUID(each.reference) for each in paid if CANONICAL_UUID.fullmatch(each.reference)]
    earned = {
        Payment(str(attempt), user_id, coins)
        for attempt, user_id, coins in QuestionReward.objects.filter(attempt__in=attempts)
        .values_list("attempt", "user_id")
        .annotate(Sum("amount"))
    }
    for payment in paid:
        if payment not in earned:
            yield (
                f"account {payment.user_id}: {payment.amount} coins of attempt "
                f"{payment.reference} were paid and not earned"
            )
