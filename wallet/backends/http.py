"""The wallet elsewhere: a job, enqueued in the caller's transaction, delivers the posting.

The job is the outbox. It runs until the wallet has answered for good, and what it sends carries
the claim's own key, so the coins arrive once however often that happens.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from django.conf import settings
from procrastinate.contrib.django import app

from common.tasks import Patiently, PermanentFailure
from wallet.services import Claim, Payment, WalletAway

CONNECT_AND_READ_SECONDS = (3.05, 10)
REFERENCES_PER_CALL = 50


class DeliveryFailed(Exception):
    """The wallet did not take the posting, or did and could not say so: it is sent again."""


def post(claim: Claim) -> None:
    deliver.defer(**asdict(claim))


@app.task(queue="wallet", name="wallet.deliver", retry=Patiently())
def deliver(*, owner: str, key: str, **posting: Any) -> None:
    # The wallet knows us by our API key alone: our apps are told apart by the key they share.
    key = f"{owner}:{key}"
    response = call("POST", json=posting, headers={"Idempotency-Key": key})
    said = body_of(response)
    # Whoever stands in the wallet's place, a proxy or a page to sign in at, says neither.
    if response.status_code in (400, 422) and "type" in said:
        raise PermanentFailure(f"The wallet refuses {key}: {said['type']}")
    if response.status_code not in (200, 201) or not said.get("id"):
        raise DeliveryFailed(f"No posting came back for {key}: status {response.status_code}")


def payments(
    kind: str, owner: str | None, references: Iterable[str] | None
) -> Generator[Payment, None, None]:
    # The wallet shows us what came with our API key, which is nobody else's.
    for chunk in [None] if references is None else chunks(references):
        query: Any = {"kind": kind, "reference": chunk, "page_size": 100}
        while query:
            found, query = page(query)
            yield from found


def page(query: Any) -> tuple[list[Payment], Any]:
    """What the wallet says to it, and the query for what follows. Raises WalletAway."""
    try:
        response = call("GET", params=query)
        if response.status_code != 200:
            raise WalletAway(f"The wallet answered {response.status_code}")
        said = body_of(response)
        found = [
            Payment(each["reference"], each["user_id"], each["amount"]) for each in said["results"]
        ]
        # `next` names the address that the wallet sees; our key goes to ours alone.
        return found, said["next"] and parse_qs(urlsplit(said["next"]).query)
    except requests.RequestException as error:
        raise WalletAway(f"No answer from the wallet: {type(error).__name__}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WalletAway("What answered is no wallet") from error


def chunks(references: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(references)
    while chunk := list(islice(remaining, REFERENCES_PER_CALL)):
        yield chunk


def call(method: str, **options: Any) -> requests.Response:
    return requests.request(
        method,
        f"{settings.WALLET_URL.rstrip('/')}/api/v1/wallet/postings/",
        auth=with_our_key,
        timeout=CONNECT_AND_READ_SECONDS,
        allow_redirects=False,
        **options,
    )


def with_our_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # As `auth` and not as a header, which an entry in somebody's ~/.netrc would replace.
    request.headers["Authorization"] = f"Bearer {settings.WALLET_API_KEY}"
    return request


def body_of(response: requests.Response) -> dict[str, Any]:
    """Nothing in it where it is no JSON object."""
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
