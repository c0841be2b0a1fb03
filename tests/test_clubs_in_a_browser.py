"""The clubs' back office in a real browser: decide, look at a life, plan, settle."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from clubs.models import Charge, Club, ClubStatusChange, Subscription
from clubs.months import month_of
from clubs.tests.factories import (
    ACTIVE,
    CANCELLED,
    DAY,
    INACTIVE,
    LONG_AGO,
    PAUSED,
    make_club,
    make_subscription,
)
from tests.browser import BACKWARDS, HOSTILE, PHONE, drawn, fits, in_a_browser

pytestmark = in_a_browser
NAME = f"Beer {HOSTILE}"


@pytest.fixture
def club(db: None) -> Club:
    club = make_club()
    Club.objects.filter(pk=club.pk).update(name=NAME)
    return Club.objects.get(pk=club.pk)


def charge(subscription: Subscription, state: str = "unknown", *, month: datetime) -> Charge:
    is_settled = state != "unknown"
    return Charge.objects.create(
        subscription=subscription,
        request_id=f"request-{subscription.pk}-{month:%Y-%m}",
        customer_id=subscription.customer_store_id,
        sku_id="BEER-6",
        period=month_of(month),
        state=state,
        claimed_at=month,
        settled_at=month if is_settled else None,
        look_again_at=None if is_settled else month + DAY,
    )


def decide(page: Page, status: str, at: datetime | None = None, **more: str) -> None:
    page.get_by_role("link", name="Change the status").click()
    page.get_by_label("Status").select_option(status)
    if at is not None:
        page.locator("[name=effect_date_0]").fill(f"{at:%Y-%m-%d}")
        page.locator("[name=effect_date_1]").fill(f"{at:%H:%M}")
    for label, text in more.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Decide").click()


def rows(table: Locator) -> list[list[str]]:
    return [
        [" ".join(cell.split()) for cell in row.locator("td").all_inner_texts()]
        for row in table.locator("tbody tr").all()
    ]


def test_a_club_is_closed_now_and_inactive_from_a_date(page: Page, club: Club) -> None:
    later = (timezone.now() + 40 * DAY).astimezone(UTC).replace(hour=12, minute=0)
    page.goto("/admin/clubs/club/")
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("link", name="Change the status").click()
    expect(page.get_by_text(f"Change the status of {NAME}. Now it is active.")).to_be_visible()
    page.get_by_role("button", name="Decide").click()  # nothing was chosen
    expect(page.get_by_text("This field is required.")).to_be_visible()
    page.get_by_role("link", name="Leave it").click()
    assert ClubStatusChange.objects.count() == 1

    decide(page, "Closed", Details=f"Sold out {HOSTILE}")
    expect(page.get_by_text(f"{NAME}: Closed from")).to_be_visible()
    decide(page, "Inactive", later)
    expect(page.get_by_text(f"Inactive from {later:%Y-%m-%d} 12:00 UTC.")).to_be_visible()
    history = page.locator("#history-group tr").filter(has_text=re.compile("Planned|Now|Past"))
    expect(history).to_have_text([re.compile(word) for word in ("Planned", "Now", "Past")])
    expect(history.nth(1)).to_contain_text(HOSTILE)

    page.goto("/admin/clubs/club/")
    row = page.get_by_role("row").filter(has_text=NAME)
    expect(row).to_contain_text("Closed", ignore_case=True)
    expect(row).to_contain_text(f"Inactive from {later:%Y-%m-%d} 12:00")


def test_a_club_is_added_after_another_was_decided_about(page: Page, club: Club) -> None:
    page.goto(f"/admin/clubs/club/{club.pk}/status/")
    page.goto("/admin/clubs/club/add/")
    page.get_by_label("Name").fill(BACKWARDS)
    page.get_by_label("Status from now on").select_option("Active")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert Club.objects.get(name=BACKWARDS).history.count() == 1


def test_a_subscription_is_seen_as_a_timeline_and_decided_about(page: Page, club: Club) -> None:
    now = timezone.now()
    one = make_subscription(
        club,
        (ACTIVE, now - 120 * DAY),
        (PAUSED, now - 60 * DAY),
        (ACTIVE, now - 40 * DAY),
        id=f"sub {HOSTILE}"[:36],
    )
    charge(one, "succeeded", month=now - 90 * DAY)
    page.goto("/admin/clubs/subscription/")
    page.get_by_role("link", name=one.pk).click()
    spans = page.locator(".club-lane").filter(has_text="Subscription").locator("i")
    expect(spans).to_have_count(4)
    classes = ["club-active", "club-paused", "club-active", "club-active is-planned"]
    expect(spans).to_have_class(classes)
    boxes = [span.bounding_box() or {} for span in spans.all()]
    assert all(box["width"] > 10 and box["height"] > 10 for box in boxes)
    lefts = [box["x"] for box in boxes]
    assert lefts == sorted(lefts)
    expect(page.locator(".club-marks i")).to_have_count(1)

    returns = now + 15 * DAY
    decide(page, "Paused", now + 10 * DAY, **{"Days until it returns": "5", "Details": HOSTILE})
    expect(page.get_by_text("Paused from")).to_be_visible()
    expect(spans).to_have_class([*classes, "club-paused is-planned", "club-active is-planned"])
    decisions = page.locator(".club-table").first
    assert rows(decisions)[0][:3] == ["Active", f"{returns:%Y-%m-%d %H:%M}", "planned"]
    assert rows(decisions)[1][3] == HOSTILE
    decide(page, "Cancelled")
    expect(page.get_by_text("Planned once, and removed by a later decision")).to_be_visible()
    expect(page.locator("s").filter(has_text="Paused")).to_be_visible()
    expect(spans.last).to_have_class("club-cancelled is-planned")


def test_who_would_be_charged_on_a_date_and_why_not(page: Page, club: Club) -> None:
    now = timezone.now()
    then = now + 40 * DAY
    inactive = make_club(INACTIVE)
    verdicts = {
        make_subscription(club, id="a-active").pk: "Would be charged",
        make_subscription(club, (PAUSED, LONG_AGO), (ACTIVE, now + 20 * DAY), id="b-back").pk: (
            "Would be charged"
        ),
        make_subscription(club, (PAUSED, LONG_AGO), id="c-paused").pk: "Paused",
        make_subscription(club, (CANCELLED, LONG_AGO), id="d-left").pk: "Cancelled",
        make_subscription(inactive, id="e-shut").pk: "The club is inactive",
    }
    page.goto("/admin/clubs/subscription/")
    page.get_by_role("link", name="Who is charged on a date").click()
    table = page.locator(".club-table")
    expect(table.locator("tbody tr")).to_have_count(5)
    assert rows(table)[1][3] == "Paused"  # today
    page.locator("[name=at_0]").fill(f"{then:%Y-%m-%d}")
    page.locator("[name=at_1]").fill("12:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text(f"As of {then:%Y-%m-%d} 12:00 UTC")).to_be_visible()
    assert {row[0]: row[3] for row in rows(table)} == verdicts
    expect(page.locator(".club-is-chargeable").first).to_have_text("2 Would be charged")
    page.get_by_role("link", name="1 Paused").click()
    expect(table.locator("tbody tr")).to_have_count(1)
    assert rows(table) == [["c-paused", rows(table)[0][1], NAME, "Paused"]]
    page.set_viewport_size(PHONE)
    assert fits(page)
    assert table.evaluate("table => table.clientWidth < window.innerWidth")  # it scrolls in itself


def test_what_every_month_brought_is_drawn_and_listed(page: Page, club: Club) -> None:
    now = timezone.now().astimezone(UTC)
    last_month = now.replace(day=1, hour=0) - timedelta(hours=1)
    paused = make_subscription(club, (ACTIVE, LONG_AGO), (PAUSED, last_month))
    for number in range(3):
        charge(make_subscription(club, id=f"s{number}"), "succeeded", month=last_month)
    Subscription.objects.update(create_date=now)
    Subscription.objects.filter(pk=paused.pk).update(create_date=last_month)
    page.goto("/admin/clubs/subscription/")
    page.get_by_role("link", name="Month by month").click()
    series = {}
    for name in ("New", "Paused", "Charged"):
        chart = page.get_by_role("img", name=f"{name} in each month")
        [(label, values)] = drawn(chart.locator("canvas"))
        assert label == name
        series[name] = values
    assert series["New"][-2:] == [1, 3]
    assert series["Paused"] == [*[0] * 10, 1, 0]
    assert series["Charged"] == [*[0] * 10, 3, 0]
    expect(page.get_by_text("None in these twelve months")).to_be_visible()  # nobody left
    listed = rows(page.locator(".club-table"))
    assert [row[1:] for row in listed[:2]] == [["3", "0", "0", "0"], ["1", "1", "0", "3"]]
    assert len(listed) == 12


def test_an_unknown_charge_is_settled_with_a_reason(page: Page, club: Club) -> None:
    one = charge(make_subscription(club), month=timezone.now() - 2 * DAY)
    page.goto("/admin/clubs/charge/?state=unknown")
    page.get_by_role("link", name=str(one.pk), exact=True).click()
    expect(page.get_by_text("null")).to_have_count(0)
    page.get_by_role("link", name="Settle by hand").click()
    expect(page.get_by_text("the customer pays twice")).to_be_visible()
    page.get_by_label("Reason").fill(f"No order there {HOSTILE}")
    page.get_by_role("button", name="Settle").click()  # what became of it is not said
    expect(page.get_by_text("This field is required.")).to_be_visible()
    assert Charge.objects.get().state == "unknown"
    page.get_by_label("What became of it").select_option("failed")
    page.get_by_role("button", name="Settle").click()
    expect(page.get_by_text("settled as failed")).to_be_visible()
    expect(page.get_by_text(f"No order there {HOSTILE}")).to_be_visible()
    expect(page.get_by_role("link", name="Settle by hand")).to_have_count(0)
    assert Charge.objects.get().state == "failed"
