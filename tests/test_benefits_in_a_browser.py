"""The benefits' back office in a real browser: see how a venue does, find uses, reverse one."""

import csv
import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from benefits.models import Benefit, BenefitUsage, Reversal, Venue
from benefits.tests.factories import NOW, benefit, person, used
from tests.browser import BACKWARDS, HOSTILE, PHONE, drawn, fits, in_a_browser

pytestmark = in_a_browser
DAY = timedelta(days=1)
VENUE_NAME = f"Gym {HOSTILE}"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """For server and sessions alike: the pages are about the last 180 days."""
    real, start = timezone.now, timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: NOW + (real() - start))


@pytest.fixture
def gym(_now: None, db: None) -> Venue:
    """Towels every day until a silence that lasts, a sauna with a name to be read backwards."""
    gym = Venue.objects.create(name=VENUE_NAME)
    alice, bob = person(f"Alice {HOSTILE}"), person("Bob")
    towel = benefit(venue=gym, title=f"Towel {HOSTILE}")
    sauna = benefit("week", venue=gym, title=BACKWARDS)
    benefit("month", venue=gym, title="Brand new", created_at=NOW - 3 * DAY)
    used(towel, *days_before(range(31, 101)), by=alice)
    used(sauna, *days_before(range(1, 90, 7)), by=bob)
    used(benefit(title="Coffee"), NOW - 2 * DAY, by=bob)
    return gym


def days_before(numbers: range) -> list[datetime]:
    return [NOW - number * DAY + timedelta(hours=9) for number in numbers]


def see(page: Page, venue: Venue) -> None:
    page.goto(f"/admin/benefits/venue/{venue.pk}/performance/")


def open_filters(page: Page) -> None:
    page.locator("a").filter(has_text=re.compile(r"^\s*Filters")).click()


def test_an_owner_sees_at_a_glance_how_the_venue_does(page: Page, gym: Venue) -> None:
    page.goto("/admin/benefits/venue/")
    row = page.get_by_role("row").filter(has_text=VENUE_NAME)
    expect(row).to_contain_text("3")
    row.get_by_role("link", name="How it does").click()

    card = page.locator(".venue-card")
    expect(card.filter(has_text="Uses in the last 180 days").first).to_contain_text("83")
    expect(card.filter(has_text="Idle right now")).to_contain_text(f"1 Towel {HOSTILE}")
    best = page.locator(".venue-best li")
    expect(best).to_have_text([f"Towel {HOSTILE} 70", f"{BACKWARDS} 13"])

    chart = page.get_by_role("img", name="Uses per day in the last 180 days")
    expect(chart).to_have_accessible_name(re.compile("most of them on .*: 2$"))
    [(_, bars)] = drawn(chart.locator("canvas"))
    assert (len(bars), sum(bars), max(bars)) == (181, 83, 2)

    lines = page.locator(".venue-line").filter(has=page.locator(".venue-verdict"))
    expect(lines.locator(".venue-verdict")).to_have_text(
        ["not used yet", re.compile("idle for 30 days"), re.compile("in use")]
    )
    assert page.get_by_role("img", name=re.compile("nobody used it")).count() == 3
    expect(page.get_by_role("img", name=re.compile("^31 May to 1 Jul, 30 days"))).to_be_visible()

    page.get_by_role("link", name="Its uses").click()
    expect(page.get_by_role("row").filter(has_text=BACKWARDS)).to_have_count(13)
    expect(page.get_by_text("Coffee")).to_have_count(0)


def test_a_venue_that_opened_today_says_that_there_is_nothing_yet(page: Page, gym: Venue) -> None:
    see(page, Venue.objects.create(name="Opened today"))
    expect(page.get_by_text("There is nothing to draw yet.")).to_be_visible()
    expect(page.get_by_text("This venue has no benefits yet.")).to_be_visible()
    expect(page.locator("canvas")).to_have_count(0)


def test_the_page_of_a_venue_fits_a_phone_in_the_dark(page: Page, gym: Venue) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    see(page, gym)
    drawn(page.get_by_role("img", name="Uses per day").locator("canvas"))
    assert fits(page)
    for card in page.locator(".venue-card").all():
        assert card.evaluate("card => card.scrollWidth <= card.clientWidth")


def test_uses_are_filtered_and_taken_along(page: Page, gym: Venue, tmp_path: Path) -> None:
    page.goto("/admin/benefits/benefitusage/")
    open_filters(page)
    page.get_by_role("link", name="week", exact=True).click()
    page.wait_for_url("**recurrence__exact=week**")
    open_filters(page)
    page.locator("[name=usage_timestamp_from]").fill("2026-06-01")
    page.locator("[name=usage_timestamp_to]").fill("2026-06-30")
    page.get_by_role("button", name="Apply Filters").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(5)
    expect(page.locator("#result_list")).to_contain_text("once a week")

    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export CSV").click()
    waiting.value.save_as(tmp_path / "uses.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "uses.csv").read_text())))
    assert len(rows) == 5
    assert {(row["benefit"], row["person"]) for row in rows} == {(BACKWARDS, "Bob")}


def test_a_use_is_reversed_with_a_reason(page: Page, gym: Venue) -> None:
    use = BenefitUsage.objects.filter(benefit__title=BACKWARDS).latest("usage_timestamp")
    page.goto(f"/admin/benefits/benefitusage/{use.pk}/change/")
    page.get_by_role("link", name="Reverse this use").click()
    expect(page.get_by_text(f"Bob used {BACKWARDS} at {VENUE_NAME}")).to_be_visible()
    page.get_by_role("button", name="Reverse the use").click()
    assert page.get_by_label("Reason").evaluate("field => !field.validity.valid")
    page.get_by_label("Reason").fill(f"Rung up twice {HOSTILE}")
    page.get_by_role("button", name="Reverse the use").click()
    expect(page.get_by_text("It may be used again.")).to_be_visible()

    assert not BenefitUsage.objects.filter(pk=use.pk).exists()
    assert Reversal.objects.get().reason == f"Rung up twice {HOSTILE}"
    page.goto("/admin/benefits/reversal/")
    expect(page.get_by_role("row").filter(has_text=BACKWARDS)).to_contain_text(HOSTILE)
    see(page, gym)
    expect(page.locator(".venue-number").first).to_have_text("82")


def test_a_venue_is_written_with_its_benefits(page: Page) -> None:
    page.goto("/admin/benefits/venue/add/")
    page.get_by_label("Name").fill(VENUE_NAME)
    page.get_by_text("Add another Benefit").click()
    page.locator("[name=benefits-0-title]").fill(BACKWARDS)
    page.locator("[name=benefits-0-recurrence]").select_option("week")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    made = Benefit.objects.get()
    assert (made.venue.name, made.title, made.recurrence) == (VENUE_NAME, BACKWARDS, "week")
