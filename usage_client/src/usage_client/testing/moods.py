"""What can go wrong between a client and the service, each a mood for `then` and `always`."""

from __future__ import annotations

import dataclasses
import json
import random
import threading

from usage_client.testing.frontend import Exchange, Mood, Reply, well

__all__ = [
    "chaos",
    "corrupt",
    "damage_request",
    "delay",
    "delay_answer",
    "drip",
    "duplicate",
    "lose_answer",
    "lose_request",
    "mix_up",
    "redirect",
    "refuse",
    "truncate",
    "unavailable",
    "well",
]


def lose_request() -> Mood:
    """The connection ends before the service has seen anything."""
    return Exchange.hang_up


def lose_answer() -> Mood:
    """Recorded; and the connection ends without a word."""

    def act(exchange: Exchange) -> None:
        exchange.answer()
        exchange.hang_up()

    return act


def delay(seconds: float) -> Mood:
    """The request is late."""

    def act(exchange: Exchange) -> None:
        exchange.wait(seconds)
        well(exchange)

    return act


def delay_answer(seconds: float) -> Mood:
    """Recorded at once, answered late."""

    def act(exchange: Exchange) -> None:
        reply = exchange.answer()
        exchange.wait(seconds)
        exchange.send(reply)

    return act


def drip(seconds: float) -> Mood:
    """Recorded; the answer comes a few bytes at a time, in so many seconds altogether."""
    return lambda exchange: exchange.send(exchange.answer(), pieces=100, seconds=seconds)


def duplicate() -> Mood:
    """The request arrives twice; the second answer comes back."""

    def act(exchange: Exchange) -> None:
        exchange.answer()
        well(exchange)

    return act


def truncate() -> Mood:
    """Recorded; the answer ends in its middle."""
    return lambda exchange: exchange.send(exchange.answer(), cut=20)


def corrupt() -> Mood:
    """Recorded; the answer is no JSON."""

    def act(exchange: Exchange) -> None:
        reply = exchange.answer()
        exchange.send(dataclasses.replace(reply, body=b"<html>" + reply.body[:50]))

    return act


def mix_up() -> Mood:
    """Recorded; the answer is about somebody else's record."""

    def act(exchange: Exchange) -> None:
        reply = exchange.answer()
        found = json.loads(reply.body)
        for entry in found.get("results", [found]):
            if "idempotencyKey" in entry:
                entry["idempotencyKey"] = "of-somebody-else"
            if "customerId" in entry:
                entry["customerId"] += 1
        exchange.send(dataclasses.replace(reply, body=json.dumps(found).encode()))

    return act


def damage_request() -> Mood:
    """The request arrives cut short, and is answered as such."""

    def act(exchange: Exchange) -> None:
        request = exchange.request
        exchange.send(exchange.answer(dataclasses.replace(request, body=request.body[:-1])))

    return act


def refuse(
    status: int,
    *,
    code: str | None = None,
    retry_after: str | int | None = None,
    pointer: str = "",
) -> Mood:
    """Not recorded, and this answer; with a pointer the field there is to blame.

    `code` as the service has it ("unknown-customer" of a 404): its own words decide what it is.
    """
    code = code or ("invalid-input" if pointer else "refused")
    headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
    document: dict[str, object] = {
        "type": f"urn:problem:{code}",
        "title": "A mood",
        "status": status,
        "detail": code,
    }
    if pointer:
        document["errors"] = [{"pointer": pointer, "code": code, "detail": "A mood"}]
    return lambda exchange: exchange.send(Reply.json(status, document, **headers))


def unavailable(retry_after: str | int | None = None) -> Mood:
    return refuse(503, code="unavailable", retry_after=retry_after)


def redirect(location: str, status: int = 302) -> Mood:
    return lambda exchange: exchange.send(Reply(status, b"", {"Location": location}))


def chaos(seed: int, share: float = 0.3, *moods: Mood) -> Mood:
    """This share of requests in one of these moods (without any: in all that pass), by chance,
    which the seed decides as far as the order of requests does not."""
    rng, lock = random.Random(seed), threading.Lock()  # noqa: S311 - to be the same again
    passing = moods or (
        lose_request(),
        lose_answer(),
        delay(0.02),
        duplicate(),
        truncate(),
        corrupt(),
        mix_up(),
        damage_request(),
        unavailable(),
        refuse(429, code="too-many-requests", retry_after=0),
    )

    def act(exchange: Exchange) -> None:
        with lock:
            mood = rng.choice(passing) if rng.random() < share else well
        mood(exchange)

    return act
