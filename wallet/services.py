"""The wallet's door: other apps pay through it and do not know where the wallet is."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import cast

from django.conf import settings
from django.dispatch import Signal

# Sent by `verify_wallet`; a receiver returns an iterable of lines that say what it paid wrongly.
verifying = Signal()


@dataclass(frozen=True)
class Claim:
    """Coins that somebody earned: the paying app, `owner`, and `key` make it one posting."""

    owner: str
    key: str
    user_id: str
    amount: int
    kind: str
    reference: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Payment:
    """What the ledger holds for a claim."""

    reference: str
    user_id: str
    amount: int


class WalletAway(Exception):
    """The wallet is elsewhere and did not answer as it should; the text says how."""


def backend() -> ModuleType:
    return import_module(settings.WALLET_BACKEND)


def pay(claim: Claim) -> None:
    """Pay, once however often it is called, as part of the caller's transaction.

    With the wallet in this process the entry commits with it; with the wallet elsewhere a job
    does, which delivers the coins as soon as that wallet answers.
    """
    backend().post(claim)


def payments(
    *, kind: str, owner: str | None = None, references: Iterable[str] | None = None
) -> Generator[Payment, None, None]:
    """What was really paid: by this owner or by anybody, for these references or for any.

    A wallet elsewhere shows us our own payments alone.
    Raises WalletAway when the wallet is elsewhere and does not say.
    """
    return cast("Generator[Payment, None, None]", backend().payments(kind, owner, references))


def paid_otherwise() -> Iterator[str]:
    """What whoever pays through this door finds paid otherwise than earned, a line each.

    Raises WalletAway as payments() does.
    """
    for _, lines in verifying.send(sender=None):
        yield from lines or []
