"""The incentives' back office in a real browser: author, try, publish, explain, replay, settle."""

import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from conftest import ALICE, BOB
from incentives.catalogue import catalogue
from incentives.models import Achievement, Delivery, Programme, Progress, Rule
from incentives.partners import endpoints, feed
from incentives.partners.tests.factories import earn, make_partner, make_programme, make_rule
from incentives.tests.worlds import awards, employer, logged, member, offer, retracted, work
from tests.browser import BACKWARDS, HOSTILE, PHONE, drawn, fits, in_a_browser

pytestmark = in_a_browser
ADMIN = "/admin/incentives"
REWARD = f"Pillow {HOSTILE}"


@pytest.fixture(autouse=True)
def _forget_catalogue() -> None:
    catalogue.forget()


@pytest.fixture
def members(db: None) -> None:
    """Alice logged on five days in June, Bob on two."""
    employer()
    member(ALICE)
    member(BOB)
    logged(ALICE, range(1, 6))
    logged(BOB, [1, 2])
    work()


def confirm(page: Page, action: str) -> None:
    page.get_by_role("link", name=action).click()
    page.get_by_role("button", name="Yes, do it").click()


def test_a_programme_is_authored_tried_and_published_in_plain_language(
    page: Page, members: None
) -> None:
    page.goto(f"{ADMIN}/programme/add/")
    page.locator("[name=name]").press_sequentially(f"Healthy {BACKWARDS}")
    expect(page.locator("[name=slug]")).to_have_value(re.compile("^healthy"))
    page.locator("[name=employer]").select_option(label="acme")
    page.locator("[name=starts_on]").fill("2026-01-01")
    page.locator("[name=budget]").fill("1000")
    page.get_by_text("Add another Incentive").click()
    page.locator("[name=incentives-0-name]").fill(f"Log {HOSTILE}")
    page.locator("[name=incentives-0-slug]").fill("log-days")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    programme = Programme.objects.get()
    incentive = programme.incentives.get()

    page.goto(f"{ADMIN}/incentive/{incentive.pk}/change/")
    page.get_by_role("link", name="Write the next version").click()
    menu = page.get_by_label("When")
    window, combination = page.locator("[name=within]"), page.get_by_label("Combination")
    expect(menu).to_have_value("consecutive_days")
    expect(window).to_be_hidden()
    menu.select_option("times_in_window")
    expect(window).to_be_visible()
    menu.select_option("combined")
    expect(combination).to_be_visible()
    expect(page.get_by_label("What", exact=True)).to_be_hidden()
    menu.select_option("consecutive_days")
    expect(combination).to_be_hidden()
    page.locator("[name=event]").select_option(label="health data logged")
    page.locator("[name=number]").fill("5")
    page.locator("[name=reward]").fill(REWARD)
    page.locator("[name=reward_code]").fill("RW-7Q2K")
    page.locator("[name=cost]").fill("45")
    page.get_by_role("button", name="Save and continue editing").click()
    sentence = (
        "When “health data logged” happens on 5 days in a row from 1 January 2026 on, a member of"
        f" Acme gets “{REWARD}” (partners are told RW-7Q2K) once."
    )
    expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_text("Nothing is missing.")).to_be_visible()

    page.get_by_role("link", name="Dry run").click()
    expect(page.get_by_text("1 award, USD 45.00")).to_be_visible()
    expect(page.get_by_text("1 of 2 members would have got one")).to_be_visible()
    assert drawn(page.locator("canvas")) == [("Awards", [1])]
    page.set_viewport_size(PHONE)
    assert fits(page)
    page.set_viewport_size({"width": 1400, "height": 1000})
    assert not Achievement.objects.exists()
    page.get_by_role("link", name="Back", exact=True).click()
    confirm(page, "Publish")
    expect(page.get_by_text("Published.")).to_be_visible()
    expect(page.get_by_role("link", name="Publish")).to_have_count(0)  # and never again
    assert Rule.objects.get().is_published

    page.goto(f"{ADMIN}/programme/{programme.pk}/change/")
    confirm(page, "Publish")
    expect(page.get_by_text("What happened since it starts is being counted.")).to_be_visible()
    work()
    page.get_by_role("link", name="Figures").click()
    expect(page.get_by_text("Spent: USD 45.00 of USD 1,000.00")).to_be_visible()
    canvases = page.locator("canvas")
    assert drawn(canvases.nth(0)) == [("Awards", [1])]
    assert drawn(canvases.nth(1)) == [("Under way", [1]), ("Achieved", [1])]
    expect(page.get_by_role("row").filter(has_text=HOSTILE)).to_have_text(
        re.compile(r"1\s*1\s*1\s*0\s*0\s*0\s*$")
    )


def test_a_draft_without_anything_says_what_is_missing(page: Page, members: None) -> None:
    programme = Programme.objects.create(
        slug="empty", name="Empty", employer=employer(), starts_on="2026-01-01"
    )
    page.goto(f"{ADMIN}/programme/{programme.pk}/figures/")
    for text in ("No awards yet", "Nobody is under way yet", "There is no incentive yet."):
        expect(page.get_by_text(text)).to_be_visible()
    expect(page.locator("canvas")).to_have_count(0)


def test_a_members_progress_is_found(page: Page, members: None) -> None:
    offer()
    work()
    logged(BOB, [3])  # not worked off yet
    page.goto(f"{ADMIN}/progress/")
    page.locator("[name=q]").fill(BOB)
    page.keyboard.press("Enter")
    page.locator("#result_list").get_by_role("link", name=BOB).click()
    page.wait_for_url(f"**/progress/{Progress.objects.get(user_id=BOB).pk}/change/**")
    expect(page.get_by_text("2 of 5 days", exact=True)).to_be_visible()
    expect(page.get_by_text("five-day-streak: 3 of 5 days")).to_be_visible()


def test_an_award_explains_itself_and_a_doubtful_one_is_settled(page: Page, db: None) -> None:
    offer(reward=REWARD, coins=10)
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    [award] = awards(ALICE)
    path = f"{ADMIN}/achievement/{award.pk}/change/"
    page.goto(path)
    expect(page.get_by_text("“health data logged” happens on 5 days in a row")).to_be_visible()
    expect(page.get_by_text("2026-06-01, 2026-06-02, 2026-06-03, 2026-06-04")).to_be_visible()
    expect(page.get_by_text("Not needed")).to_be_visible()
    expect(page.get_by_role("link", name="1", exact=True)).to_have_attribute(
        "href", f"{ADMIN}/rule/{award.rule_id}/change/"
    )
    expect(page.get_by_role("link", name="Take it back")).to_have_count(0)

    retracted(ids[0])
    work()
    page.goto(f"{ADMIN}/achievement/?needs_review__exact=1")
    page.locator("#result_list tbody th a").click()
    expect(page.get_by_text("To be settled").first).to_be_visible()
    page.get_by_role("link", name="Take it back").click()
    page.get_by_role("button", name="Yes, do it").click()
    assert page.get_by_label("Why").evaluate("field => !field.validity.valid")
    page.get_by_label("Why").fill(f"Logged by mistake {HOSTILE}")
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("Settled.")).to_be_visible()
    history = page.locator("#changes-group").get_by_role("row").filter(has_text=HOSTILE)
    expect(history).to_contain_text("Reversed")
    expect(history).to_contain_text("staff:admin")
    assert [each.status for each in awards(ALICE)] == ["reversed"]


def dead_letters(*users: str) -> None:
    partner = make_partner()
    now = timezone.now()
    endpoints.add_endpoint(partner=partner, url="http://127.0.0.1:9/hook", now=now)
    rule = make_rule(make_programme(partner))
    for user in users:
        earn(rule, user)
    feed.publish_all(now=now)
    Delivery.objects.update(state="dead", tries=9)


def test_a_dead_letter_is_sent_again(page: Page, db: None, settings: Any) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    dead_letters(ALICE)
    page.goto(f"{ADMIN}/partner/")
    page.get_by_role("row").filter(has_text="rewards-co").get_by_role("link", name="1").click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Dead letter", ignore_case=True)
    row.get_by_role("checkbox").check()
    page.locator("[name=action]").select_option("replay")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("1 on their way again, with the ids they had.")).to_be_visible()
    assert Delivery.objects.get().state == "pending"


def test_all_dead_letters_are_sent_again_at_once(
    page: Page, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    monkeypatch.setattr("incentives.admin.DeliveryAdmin.list_per_page", 1)
    dead_letters(ALICE, BOB)
    page.goto(f"{ADMIN}/delivery/?state__exact=dead")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#action-toggle").check()
    page.get_by_role("link", name="Select all of them, on other pages too").click()
    expect(page.get_by_text("All selected, those on other pages too")).to_be_visible()
    page.locator("[name=action]").select_option("replay")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("2 on their way again, with the ids they had.")).to_be_visible()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"pending"}
