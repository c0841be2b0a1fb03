"""Nothing that leaves the house, whatever way, says who somebody is or what somebody did."""

import csv
import io
import json
import logging

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from common.models import ApiKey
from conftest import ALICE, BOB
from incentives import achievements
from incentives.models import Delivery, Partner, PartnerMember
from incentives.partners import deliveries, endpoints, feed
from incentives.partners.contract import FIELDS
from incentives.partners.tests.factories import (
    NOON,
    earn,
    make_partner,
    make_programme,
    make_rule,
)
from incentives.partners.tests.receiver import receiving, says

pytestmark = pytest.mark.django_db(transaction=True)

# Everything that is known of Alice's birth, and of her.
TOLD_IN_THE_HOUSE = [
    ALICE,
    BOB,
    "birth",
    "pregnan",
    "pillow",
    "health",
    "acme",
    "Acme",
    "2026-10-03",
    "A birth",
    "single",
    "sensitive",
    "consent",
]


@pytest.fixture
def world(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    rule = make_rule(make_programme(make_partner(), reference="P-1"), is_sensitive=True)
    other = make_rule(make_programme(make_partner("shop-two"), reference="P-2"))
    secret = earn(rule, ALICE)
    achievements.consent(id=secret.pk, user_id=ALICE, is_given=True, now=NOON)
    earn(rule, BOB)  # says nothing
    earn(other, ALICE)
    return secret


def tells_nothing(text):
    return [each for each in TOLD_IN_THE_HOUSE if each.lower() in text.lower()] == []


def expected(secret, **other):
    return {
        "id": str(secret.pk),
        "sequence": 1,
        "member": str(PartnerMember.objects.get(partner__slug="rewards-co").pseudonym),
        "reward_code": "RW-7Q2K",
        "programme": "P-1",
        "effective_date": "2026-11-20",
        "status": "granted",
        "version": 1,
        **other,
    }


def test_the_pull_api_says_this_and_no_more(world):
    feed.publish_all(now=NOON)
    _, key = ApiKey.issue(owner="rewards-co", scopes=["incentives.partner"])
    partner = APIClient(headers={"Authorization": f"Bearer {key}"})
    answer = partner.get("/api/v1/incentives/partner/achievements/")
    assert answer.json() == {"results": [expected(world)], "next": 1}
    headers = json.dumps(dict(answer.items()))
    assert tells_nothing(answer.content.decode() + headers)
    path = f"/api/v1/incentives/partner/achievements/{world.pk}/fulfilment/"
    for status in ["fulfilled", "rejected"]:
        said = partner.post(path, {"status": status}, format="json")
        assert tells_nothing(said.content.decode())


def test_a_webhook_says_this_and_no_more(world, caplog):
    with receiving(says(500), says(200)) as receiver, caplog.at_level(logging.DEBUG):
        partner = Partner.objects.get(slug="rewards-co")
        endpoint, secret = endpoints.add_endpoint(partner=partner, url=receiver.url, now=NOON)
        feed.publish_all(now=NOON)
        for _ in range(2):
            deliveries.deliver_due(endpoint.pk)
            deliveries.replay(Delivery.objects.all(), now=NOON)
            Delivery.objects.update(due_at=NOON)
            endpoint.paused_until = None
            endpoint.save()
        assert len(receiver.received) == 2
    for received in receiver.received:
        body = json.loads(received.body)
        assert body.keys() == {"type", "timestamp", "data"}
        assert (body["type"], body["data"]) == ("achievement.updated", expected(world))
        assert received.headers.keys() == {
            "host",
            "accept-encoding",
            "content-length",
            "content-type",
            "user-agent",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        }
        assert tells_nothing(received.path + received.body + json.dumps(received.headers))
    assert receiver.url not in caplog.text
    assert secret not in caplog.text
    assert tells_nothing(
        "".join(each.getMessage() for each in caplog.records if each.name.startswith("incentives"))
    )


def test_the_file_says_this_and_no_more(world):
    feed.publish_all(now=NOON)
    out = io.StringIO()
    call_command("export_partner_feed", "--partner", "rewards-co", stdout=out)
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert row == {name: str(value) for name, value in expected(world).items()}
    assert tuple(row) == FIELDS
    assert tells_nothing(out.getvalue())
    out = io.StringIO()
    call_command("export_partner_feed", "--partner", "rewards-co", "--after", "1", stdout=out)
    assert out.getvalue() == ",".join(FIELDS) + "\r\n"


@pytest.mark.parametrize(
    "arguments", [["--partner", "nobody"], ["--partner", "x", "--after", "-1"]]
)
def test_a_file_of_nobody_is_refused(world, arguments):
    with pytest.raises(CommandError):
        call_command("export_partner_feed", *arguments)


def test_the_downloaded_file_and_its_name_say_no_more(world):
    feed.publish_all(now=NOON)
    staff = User.objects.create_user("staff", is_staff=True)
    partner = Partner.objects.get(slug="rewards-co")
    client = Client()
    client.force_login(staff)
    path = f"/admin/incentives/partner/{partner.pk}/feed.csv"
    assert client.get(path).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_feedentry"))
    answer = client.get(path)
    assert tells_nothing(answer["Content-Disposition"])
    (row,) = csv.DictReader(io.StringIO(answer.getvalue().decode()))
    assert row == {name: str(value) for name, value in expected(world).items()}
