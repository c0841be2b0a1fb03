"""Completing, standing, starting and listing: flat in participants, constant in queries."""

import itertools
import json
import statistics
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks import load, server
from benchmarks.report import heading, ratio
from quizzes import authoring, services, standings
from quizzes.grading import correct_answer
from quizzes.models import Attempt, Quiz

PARTICIPANTS = (100, 10_000, 1_000_000)
ROUNDS = 60
GATEWAY = {"x_gateway_secret": settings.GATEWAY_SECRET}
people = itertools.count(1)


def run() -> None:
    quizzes = {number: seeded_quiz(number) for number in PARTICIPANTS}
    complete_and_stand(quizzes)
    starts(quizzes[PARTICIPANTS[0]])
    pages()


def seeded_quiz(participants: int) -> Quiz:
    """A quiz of ten questions that this many people have completed."""
    [path] = Path(settings.BASE_DIR, "fixtures").glob("stock-basics.json")
    fixture = json.loads(path.read_text())
    document = next(o for o in fixture if o["model"] == "quizzes.quizversion")["fields"]["document"]
    document["slug"] = f"bench-{participants}"
    version = authoring.import_document(data=document, publish_at=timezone.now()).version
    quiz = Quiz.objects.get(slug=document["slug"])
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(SEED, {"quiz": quiz.pk, "version": version.pk, "people": participants})
        seeded = time.perf_counter()
        standings.rebuild(quiz)
        print(
            f"{participants:>9} participants: seeded in {seeded - started:.1f} s, "
            f"standings rebuilt in {time.perf_counter() - seeded:.1f} s"
        )
        cursor.execute("VACUUM ANALYZE quizzes_attempt")
        cursor.execute("VACUUM ANALYZE quizzes_participant")
    return quiz


SEED = """
INSERT INTO quizzes_attempt (id, user_id, quiz_id, version_id, language, answers, started_at,
                             completed_at, grades, correct, total, score)
SELECT gen_random_uuid(), gen_random_uuid()::text, %(quiz)s, %(version)s, 'en', '{}', now(), now(),
       (SELECT jsonb_object_agg(key, jsonb_build_array(place <= right_ones, '0'))
        FROM (SELECT key, row_number() OVER (ORDER BY key) AS place
              FROM quizzes_question WHERE quiz_id = %(quiz)s) questions),
       right_ones, 10, right_ones / 10.0
FROM (SELECT (random() * 10)::int AS right_ones FROM generate_series(1, %(people)s)) learners
"""


def complete_and_stand(quizzes: dict[int, Quiz]) -> None:
    heading("Quizzes: completing and standing, by number of participants (in this process)")
    times: dict[int, list[float]] = {number: [] for number in quizzes}
    queries: dict[int, int] = {}
    for _ in range(ROUNDS):
        for number, quiz in quizzes.items():
            user, attempt = answered_attempt(quiz)
            with CaptureQueriesContext(connection) as captured:
                started = time.perf_counter()
                services.complete_attempt(attempt_id=attempt.pk, user_id=user, now=timezone.now())
                times[number].append(time.perf_counter() - started)
            queries[number] = len(captured)
    for number in quizzes:
        middle = statistics.median(times[number]) * 1000
        print(
            f"complete an attempt, {number:>9} participants:"
            f" {middle:6.2f} ms, {queries[number]} queries"
        )
    for number, quiz in quizzes.items():
        user, attempt = answered_attempt(quiz)
        services.complete_attempt(attempt_id=attempt.pk, user_id=user, now=timezone.now())
        ratio(
            f"µs: standing : primary-key look-up, {number} participants",
            partial(microseconds, partial(standings.standing_of, user, quiz, 10)),
            partial(microseconds, partial(look_up, attempt.pk)),
        )


def answered_attempt(quiz: Quiz) -> tuple[str, Attempt]:
    user = str(uuid.uuid4())
    attempt, _ = services.start_attempt(quiz=quiz, user_id=user, language="en", now=timezone.now())
    attempt.answers = {
        sheet.question.key: correct_answer(sheet.question, "en") for sheet in attempt.sheets
    }
    attempt.save(update_fields=["answers"])
    return user, attempt


def look_up(pk: uuid.UUID) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT user_id, correct FROM quizzes_attempt WHERE id = %s", [pk])
        return cursor.fetchone()


def microseconds(call: Callable[[], Any], times: int = 500) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times * 1e6


def starts(quiz: Quiz) -> None:
    heading("Quizzes: 50 users start at the same moment, again and again (HTTP)")
    path = f"/api/v1/quizzes/{quiz.slug}/attempts/"
    with server.serving(settings.RSGI_APPLICATION) as port:
        load.run(port, start_of(path), seconds=2)
        result = load.run(port, start_of(path), connections=50, seconds=5)
    assert set(result.statuses) == {201}, result.statuses
    print(
        f"{result.rate:.0f} starts per second, median {result.milliseconds(50):.1f} ms, "
        f"p99 {result.milliseconds(99):.1f} ms, every answer 201"
    )


def start_of(path: str) -> load.Request:
    return lambda number: load.post(path, b"", **{"x-zmrn-user-id": str(next(people))}, **GATEWAY)


def pages() -> None:
    heading("Quizzes: the list, by quizzes on the page")
    [path] = Path(settings.BASE_DIR, "fixtures").glob("stock-basics.json")
    fixture = json.loads(path.read_text())
    document = next(o for o in fixture if o["model"] == "quizzes.quizversion")["fields"]["document"]
    for number in range(100):
        authoring.import_document(
            data={**document, "slug": f"list-{number}"}, publish_at=timezone.now()
        )
    client = Client(
        headers={
            "x-zmrn-user-id": "1",
            "x-gateway-secret": settings.GATEWAY_SECRET,
            "host": "localhost",
        }
    )
    for size in (1, 20, 100):
        url = f"/api/v1/quizzes/?page_size={size}"
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        queries = len(captured)
        took = microseconds(partial(client.get, url), times=30) / 1000
        print(f"{size:>4} quizzes: {queries} queries, {took:.1f} ms")
