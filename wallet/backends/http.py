"""The wallet elsewhere: a job, enqueued in the caller's transaction, delivers the posting.

The job is the outbox. It runs until the wallet has answered for good, and what it sends carries
the claim's own key, so the coins arrive once however often that happens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import requests
from django.conf import settings
from procrastinate.contrib.django import app

from common.tasks import Patiently, PermanentFailure
from wallet.services import Claim, Payment

CONNECT_AND_READ_SECONDS = (3.05, 10)
REFERENCES_PER_CALL = 50


class DeliveryFailed(Exception):
    """The wallet did not take the posting; whether it was written is not known."""


def post(claim: Claim) -> None:
    deliver.defer(**asdict(claim))


@app.task(name="wallet.deliver", retry=Patiently())
def deliver(*, owner: str, key: str, **posting: Any) -> None:
    # The wallet knows us by our API key: the claim's owner is ours alone and stays here.
    response = call("POST", "postings/", json=posting, headers={"Idempotency-Key": key})
    if response.status_code in (400, 422):
        raise PermanentFailure(f"The wallet refuses {key}: {problem_type(response)}")
    if response.status_code not in (200, 201):
        raise DeliveryFailed(f"The wallet answered {response.status_code} to {key}")


def payments(kind: str, references: Iterable[str]) -> Iterator[Payment]:
    remaining = iter(references)
    while chunk := list(islice(remaining, REFERENCES_PER_CALL)):
        query: Any = {"kind": kind, "reference": chunk, "page_size": 100}
        path: str | None = "postings/"
        while path:
            response = call("GET", path, params=query)
            if response.status_code != 200:
                raise DeliveryFailed(f"The wallet answered {response.status_code}")
            page = response.json()
            for found in page["results"]:
                yield Payment(found["reference"], found["user_id"], found["amount"])
            path, query = page["next"], None


def call(method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
    base = f"{settings.WALLET_URL.rstrip('/')}/api/v1/wallet/"
    # A page's `next` is absolute; our key goes to the configured wallet only.
    url = base + (path if path == "postings/" else f"postings/?{path.partition('?')[2]}")
    return requests.request(
        method,
        url,
        headers={"Authorization": f"Bearer {settings.WALLET_API_KEY}", **(headers or {})},
        timeout=CONNECT_AND_READ_SECONDS,
        allow_redirects=False,
        **options,
    )


def problem_type(response: requests.Response) -> str:
    try:
        return str(response.json()["type"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
