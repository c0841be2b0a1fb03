"""The demo world: what the contract says of it, and beside it an employer with a past."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from incentives import demo
from incentives.models import (
    Achievement,
    Eligibility,
    Event,
    FeedEntry,
    Handover,
    Partner,
    Programme,
    Waiting,
)

pytestmark = pytest.mark.django_db
TABLES = [Achievement, Eligibility, Event, FeedEntry, Programme]


@pytest.fixture
def world():
    assert demo.load()


def counts():
    return [table.objects.count() for table in TABLES]


def test_it_is_loaded_once(world):
    before = counts()
    assert not demo.load()
    assert counts() == before


def test_acme_and_its_partner_are_as_the_contract_says_and_nobody_is_in_them(world):
    programme = Programme.objects.get(slug="healthy-start")
    today = timezone.now().date()
    assert (programme.employer.slug, programme.employer.timezone) == ("acme", "America/New_York")
    assert programme.starts_on < today - timedelta(days=360)
    assert programme.ends_on is not None
    assert programme.ends_on > today + timedelta(days=360)
    assert programme.budget is None
    assert dict(programme.incentives.values_list("slug", "is_sensitive")) == {
        "five-day-streak": False,
        "birth-reported": True,
    }
    assert not Eligibility.objects.filter(employer__slug="acme").exists()
    # What its partner pulls begins with the first award that somebody else makes.
    partner = Partner.objects.get(slug="rewards-co")
    assert programme.partnership.partner == partner
    assert partner.last_sequence == 0


def test_the_other_employers_members_have_two_months_behind_them(world):
    members = set(Eligibility.objects.values_list("user_id", flat=True))
    assert len(members) > 36
    assert all(int(user_id) > 900_000 for user_id in members)
    assert set(Event.objects.values_list("user_id", flat=True)) <= members
    first, last = Event.objects.earliest("occurred_at"), Event.objects.latest("occurred_at")
    now = timezone.now()
    assert timedelta(days=56) < now - first.occurred_at < timedelta(days=70)
    assert timedelta(0) < now - last.occurred_at < timedelta(days=2)
    assert {"health_data_logged", "birth_reported"} == set(
        Event.objects.values_list("type", flat=True)
    )
    months = set(Achievement.objects.dates("effective_on", "month"))
    assert len(months) >= 2


def test_what_they_earned_is_at_every_stage(world):
    found = set(Achievement.objects.values_list("status", flat=True))
    assert found == {"pending_consent", "released", "fulfilled", "rejected"}
    partner = Partner.objects.exclude(slug="rewards-co").get()
    sequences = FeedEntry.objects.filter(partner=partner).order_by("sequence")
    assert list(sequences.values_list("sequence", flat=True)) == [
        *range(1, partner.last_sequence + 1)
    ]
    assert partner.last_sequence > 20


def test_it_leaves_nothing_to_do_and_nothing_to_mend(world, capsys):
    assert not Waiting.objects.exists()
    assert not Handover.objects.exists()
    call_command("verify_incentives")
    assert "Everybody" in capsys.readouterr().out
