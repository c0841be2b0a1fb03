"""kill -9 between any two steps of a charge: one order, and an honest state until it is known."""

import os
import signal
import sys

import pytest
from django.db import connections

from clubs import settling, shop
from clubs.models import Charge
from clubs.tests.factories import make_subscription, sql
from clubs.tests.test_charge_api import charge, code

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked"),
]


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_it_succeeded(charge, state, *args):
    if state == Charge.State.SUCCEEDED:
        die()


def charge_and_die(one):
    """In a process of its own, which has nothing of our connection."""
    connections.close_all()
    pid = os.fork()
    if not pid:
        try:
            charge(one)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize(
    ("module", "step", "death", "orders"),
    [
        (shop, "place_order", die, 0),
        (settling, "record", die, 1),
        (settling, "note", die_when_it_succeeded, 1),
    ],
    ids=["after the claim", "after the order", "before the commit"],
)
def test_it_is_known_in_the_end_and_placed_once(shop, monkeypatch, module, step, death, orders):
    one = make_subscription()
    with monkeypatch.context() as patch:
        patch.setattr(module, step, death)
        charge_and_die(one)
    assert len(shop.orders) == orders
    for request_id in ("r-1", "r-2"):
        assert code(charge(one, request_id)) == (409, "charge-in-progress")
    sql("UPDATE clubs_charge SET look_again_at = now()")
    assert code(charge(one, "r-2")) == (409, "charge-outcome-unknown")
    done = charge(one)
    assert (done.status_code, done.json()["charged"]) == (201, orders == 0)
    assert charge(one, "r-2").json()["request_id"] == "r-1"
    assert len(shop.orders) == 1
