"""`manage.py run` without a shop of anybody's: it brings its own, and charges for real."""

import json
import sys

import pytest

from clubs.fake_shop import Mood, Shop
from common.tests.running import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")

JSON = b"Content-Type: application/json"
WORLD = """
from clubs.models import Club
from clubs.services import change_club_status
club = Club.objects.create(name="Ours", store_sku="BEER")
change_club_status(club_id=club.pk, status_id=1)
print(club.pk)
"""


def post(service, path, body=b"{}"):
    length = b"Content-Length: %d" % len(body)
    answer = service.ask("POST", f"/api/v1/{path}", JSON, length, body=body)
    return answer.status, json.loads(answer.body)


def test_the_demo_charges_for_real_and_remembers(tmp_path):
    service = Service(tmp_path)
    with service.running():
        assert "(a stand-in)" in service.output
        club = service.manage("shell", "-v0", "-c", WORLD).stdout.strip()
        status, made = post(service, f"club/{club}/subscribe/", b'{"customer_id": "c-1"}')
        assert status == 201
        status, charged = post(service, f"subscription/{made['id']}/charge/r-1/")
        assert (status, charged["charged"]) == (201, True)
        _, other = post(service, f"club/{club}/subscribe/", b'{"customer_id": "c-2"}')
        # From another process, which knows of no shop, through the worker, which does.
        done = service.manage("charge_eligible", "--rate", "500")
        assert done.returncode == 0, done.stderr
        # Those of the demo whom the shop's stand-in treats badly.
        assert "1 failed, 2 of unknown outcome" in done.stdout
        status, again = post(service, f"subscription/{other['id']}/charge/r-2/")
        assert (status, again["charged"]) == (200, False)
    orders = Shop(tmp_path / "fake_shop.jsonl").orders
    assert "r-1" in orders
    assert again["request_id"] in orders
    assert "Traceback" not in service.output


def test_whoever_names_a_shop_gets_no_other(tmp_path):
    named = {"ECOMMERCE_URL": "http://127.0.0.1:9", "ECOMMERCE_API_KEY": "k"}
    service = Service(tmp_path, {**named, "ECOMMERCE_API_SECRET": "s"})
    with service.running():
        assert "stand-in" not in service.output


def test_a_customer_of_the_demo_may_have_a_mood():
    shop = Shop()
    assert shop.mood_for({"customer_id": "kim-refuse"}).name == "refuse"
    assert shop.mood_for({"customer_id": "kim"}).name == "fine"
    shop.moods = [Mood("die", only={"customer_id": "kim"}, times=1)]
    assert [shop.mood_for({"customer_id": "kim"}).name for _ in range(2)] == ["die", "fine"]
