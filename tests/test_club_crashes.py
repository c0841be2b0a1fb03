"""kill -9 between any two steps of a charge: one order in the shop, and nobody told otherwise."""

import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from clubs.fake_shop import Mood, Shop, open_shop
from common.tests.running import Service, wait_for
from tests.test_crashes import HALT, Database, expect_success, kill

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

HALTS = f"""
{HALT}
CREATE CONSTRAINT TRIGGER halt_claim AFTER INSERT ON clubs_charge
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION halt('while the claim commits');
CREATE TRIGGER halt_record BEFORE UPDATE ON clubs_charge FOR EACH ROW
    WHEN (NEW.state = 'succeeded') EXECUTE FUNCTION halt('before the answer is written');
CREATE CONSTRAINT TRIGGER halt_commit AFTER UPDATE ON clubs_charge
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = 'succeeded')
    EXECUTE FUNCTION halt('before the answer stands');
"""
WORLD = """
INSERT INTO club (name, store_sku) VALUES ('Crashing', 'BEER');
INSERT INTO club_status_history (club_id, club_status_id, effect_date)
    SELECT id, 1, now() FROM club;
INSERT INTO subscription (id, club_id, customer_store_id)
    SELECT 's' || n, id, 'c' || n FROM club, generate_series(1, 9) n;
INSERT INTO subscription_status_history (subscription_id, status_id, effect_date)
    SELECT id, 1, now() FROM subscription;
"""

WAITING = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

# Where it dies, how the shop behaves then, and whether the shop has the order afterwards.
POINTS = [
    ("while the claim commits", Mood(), False),
    ("during the call", Mood("hold", seconds=60, times=1), False),
    ("during the call", Mood("delay", seconds=60, times=1), True),
    ("before the answer is written", Mood(), True),
    ("before the answer stands", Mood(), True),
]

# What stands afterwards, where it is not the claim in any case.
ALLOWED = {
    "while the claim commits": [[], [("claimed",)]],
    "before the answer stands": [[("claimed",)], [("succeeded",)]],
}


class Caller:
    def __init__(self, service: Service, id: str) -> None:
        self.base = f"http://127.0.0.1:{service.port}/api/v1/subscription/{id}/charge"

    def charge(self, request_id: str) -> Any:
        return requests.post(f"{self.base}/{request_id}/", timeout=30)

    def charge_in_vain(self, request_id: str) -> Thread:
        def ask() -> None:
            with pytest.raises(requests.RequestException):
                self.charge(request_id)

        asking = Thread(target=ask)
        asking.start()
        return asking


@pytest.mark.django_db(transaction=True)
def test_whoever_dies_in_the_middle_of_a_charge_leaves_one_order(tmp_path: Path) -> None:
    with Database("club_crashes").existing() as database, open_shop() as (shop, url):
        settings = {
            "DATABASE_URL": database.url,
            "WEB_WORKERS": "1",
            "ECOMMERCE_URL": url,
            "ECOMMERCE_API_KEY": "a-key-for-the-crashes",
            "ECOMMERCE_API_SECRET": "a-secret-for-the-crashes",
            "ECOMMERCE_TIMEOUT": "50",
        }
        web = Service(tmp_path / "web", settings)
        expect_success(web.manage("migrate", "--verbosity=0"))
        with database.connect() as own:
            own.execute(HALTS + WORLD)
        process = web.start("web")
        try:
            web.wait_until_ready(process)
            for number, (point, mood, has_order) in enumerate(POINTS, start=1):
                shop.moods = [mood]
                caller = Caller(web, f"s{number}")
                with database.halted(point):
                    asking = caller.charge_in_vain(f"r{number}")
                    if point == "during the call":
                        wait_for(lambda: is_called(shop, f"r{number}"))  # noqa: B023  # at once
                    else:
                        database.wait_until_somebody_stands_still()
                    kill(process)
                asking.join()
                assert (f"r{number}" in shop.orders) == has_order, point
                process = web.start("web")
                web.wait_until_ready(process)
                shop.moods = []
                expect_one_order(database, shop, caller, number, point)
        finally:
            if process.poll() is None:
                kill(process)


def is_called(shop: Shop, request_id: str) -> bool:
    # Its call is written down first, the order is taken a moment later.
    called = any(call["request_id"] == request_id for call in shop.calls)
    return called and (request_id in shop.orders or shop.moods[0].name == "hold")


def expect_one_order(
    database: Database, shop: Shop, caller: Caller, number: int, point: str
) -> None:
    own_id, other_id = f"r{number}", f"other{number}"
    with database.connect() as own:
        # Of a commit under way the database says only afterwards whether it came to be.
        wait_for(lambda: not own.execute(WAITING).fetchone())
        query = "SELECT state FROM clubs_charge WHERE request_id = %s"
        found = own.execute(query, [own_id]).fetchall()
    assert found in ALLOWED.get(point, [[("claimed",)]]), point
    if found == [("claimed",)]:
        answer = caller.charge(other_id)
        assert (answer.status_code, kind(answer)) == (409, "charge-in-progress"), point
        with database.connect() as own:
            own.execute("UPDATE clubs_charge SET look_again_at = now() WHERE state = 'claimed'")
        answer = caller.charge(other_id)
        assert (answer.status_code, kind(answer)) == (409, "charge-outcome-unknown"), point
    answer = caller.charge(own_id)
    is_known = found == [("succeeded",)]
    assert answer.status_code == (200 if is_known else 201), (point, answer.text)
    assert caller.charge(other_id).json()["request_id"] == own_id
    assert [each for each in shop.orders if each.endswith(str(number))] == [own_id], point
    with database.connect() as own:
        charges = "SELECT state FROM clubs_charge WHERE subscription_id = %s"
        assert own.execute(charges, [f"s{number}"]).fetchall() == [("succeeded",)], point


def kind(answer: Any) -> str:
    return str(answer.json()["type"]).removeprefix("urn:problem:")
