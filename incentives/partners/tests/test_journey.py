"""The product as it runs: from a member's events to the partner and back, in seconds."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from common.tests.running import Service, wait_for
from conftest import ALICE
from incentives.partners.tests.receiver import receiving

SECONDS = 5
ADD_ENDPOINT = """
from django.utils import timezone
from incentives.models import Partner
from incentives.partners.endpoints import add_endpoint
partner = Partner.objects.get(slug="rewards-co")
print(add_endpoint(partner=partner, url="{url}", now=timezone.now())[1])
"""
API = "/api/v1/incentives"


class World:
    def __init__(self, service: Service) -> None:
        self.service = service
        self.writer = self.key("tracker", "incentives.write")
        self.partner = self.key("rewards-co", "incentives.partner")
        self.member = f"x-zmrn-user-id: {ALICE}".encode()

    def key(self, owner: str, scope: str) -> bytes:
        made = self.service.manage("create_api_key", "--owner", owner, "--scopes", scope)
        return f"Authorization: Bearer {made.stdout.strip()}".encode()

    def ask(self, who: bytes, method: str, path: str, body: Any = None) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        headers = [who, b"Content-Type: application/json", b"Content-Length: %d" % len(sent)]
        answer = self.service.ask(method, f"{API}{path}", *headers, body=sent)
        assert answer.status < 300, answer
        return json.loads(answer.body)

    def feed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(self.partner, "GET", "/partner/achievements/")[
            "results"
        ]
        return found

    def mine(self, incentive: str) -> dict[str, Any]:
        listed = self.ask(self.member, "GET", "/achievements/")["results"]
        (found,) = [each for each in listed if each["incentive"] == incentive]
        return dict(found)


@pytest.fixture
def world(tmp_path):
    service = Service(tmp_path / "data", {"WEBHOOKS_TO_LOOPBACK": "1"})
    with service.running():
        file = tmp_path / "members.csv"
        file.write_text(f"user_id,starts_on,ends_on,timezone\n{ALICE},2026-01-01,,UTC\n")
        imported = service.manage("import_eligibility", str(file), "--employer", "acme")
        assert imported.returncode == 0, imported.stderr
        yield World(service)


def within_seconds(condition) -> None:
    started = time.monotonic()
    wait_for(condition, seconds=30)
    assert time.monotonic() - started < SECONDS


def test_a_reward_from_the_members_days_to_the_partners_answer(world):
    now = datetime.now(UTC)
    with receiving() as receiver:
        added = world.service.manage("shell", "-c", ADD_ENDPOINT.format(url=receiver.url))
        secret = added.stdout.strip().splitlines()[-1]
        days = [
            {
                "id": f"day-{number}",
                "user_id": ALICE,
                "type": "health_data_logged",
                "occurred_at": (now - timedelta(days=number)).isoformat(),
                "timezone": "UTC",
            }
            for number in range(5)
        ]
        birth = {**days[0], "id": "birth", "type": "birth_reported"}
        world.ask(world.writer, "POST", "/events/", [*days, birth])
        within_seconds(lambda: len(world.feed()) == 1)
        (streak,) = world.feed()
        assert streak["id"] == world.mine("five-day-streak")["id"]
        assert (streak["status"], streak["effective_date"]) == ("granted", f"{now:%Y-%m-%d}")

        secretly = world.mine("birth-reported")
        assert secretly["status"] == "pending_consent"
        consent = f"/achievements/{secretly['id']}/consent/"
        for number, (is_given, status) in enumerate([(True, "granted"), (False, "reversed")], 2):
            world.ask(world.member, "POST", consent, {"consent": is_given})
            within_seconds(lambda number=number: len(world.feed()) == number)
            last = world.feed()[-1]
            assert (last["id"], last["status"]) == (secretly["id"], status)
            assert (last["sequence"], last["version"]) == (number, number - 1)

        within_seconds(lambda: len(receiver.received) == 3)
        told = [Webhook(secret).verify(each.body, each.headers) for each in receiver.received]
        assert [each["data"] for each in told] == world.feed()

        path = f"/partner/achievements/{streak['id']}/fulfilment/"
        world.ask(world.partner, "POST", path, {"status": "fulfilled", "note": "Sent."})
        assert world.mine("five-day-streak")["status"] == "fulfilled"
        output = world.service.output
        assert secret not in output
        assert receiver.url not in output
    exported = world.service.manage("export_partner_feed", "--partner", "rewards-co")
    assert len(exported.stdout.splitlines()) == 4
