"""The usage's back office in a real browser: read a bill, take a record back, close, export."""

import csv
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import BACKWARDS, HOSTILE, PHONE, drawn, fits, in_a_browser
from usage import metering
from usage.models import Bill, Closing, Customer, UsageRecord
from usage.reading import Usage

pytestmark = in_a_browser
# Long over whenever this runs; what was used then was on time when it was reported.
MAY = datetime(2026, 5, 5, 12, tzinfo=UTC)
REPORTED = datetime(2026, 5, 20, tzinfo=UTC)
NAME, SERVICE = f"Alice {HOSTILE}", f"CDN {HOSTILE}"
ALICE, BOB = 123, 456


def use(key: str, service: str, units: str, price: str, *, by: int = ALICE, day: int = 5) -> int:
    usage = Usage(key, by, service, units, price, MAY.replace(day=day))
    return metering.record_usage(owner="hosting", usage=usage, now=REPORTED).id


@pytest.fixture
def bill(db: None) -> Bill:
    """Two services, the one at two prices; and somebody else with a dear one."""
    Customer.objects.create(id=ALICE, name=NAME)
    Customer.objects.create(id=BOB, name="Bob")
    use("k1", SERVICE, "10", "0.5")
    use("k2", SERVICE, "2", "0.25", day=6)
    use("k3", BACKWARDS, "1234", "0.01", day=6)
    use("k4", "Domain", "1", "14999.99", by=BOB)
    return Bill.objects.get(customer=ALICE)


def see(page: Page, bill: Bill) -> None:
    page.goto("/admin/usage/bill/")
    page.get_by_role("link", name=str(bill.pk), exact=True).click()
    page.wait_for_url(f"**/bill/{bill.pk}/change/")


def taken_along(page: Page, folder: Path) -> list[dict[str, Any]]:
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export CSV").click()
    waiting.value.save_as(folder / "file.csv")
    return list(csv.DictReader(StringIO((folder / "file.csv").read_text())))


def test_a_bill_shows_its_lines_its_chart_and_which_service_has_two_prices(
    page: Page, bill: Bill
) -> None:
    page.goto("/admin/usage/bill/?warning=two-prices")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("17.84")
    expect(rows).to_contain_text("Two prices", ignore_case=True)
    see(page, bill)
    expect(page.get_by_text("17.84", exact=True)).to_be_visible()
    expect(page.get_by_text(f"Two prices: {SERVICE} at 0.25 and 0.50.")).to_be_visible()

    chart = page.get_by_role("img", name="Spend per service and day of 2026-05")
    series = dict(drawn(chart.locator("canvas")))
    assert list(series) == [BACKWARDS, SERVICE]
    assert series[SERVICE] == [*[0] * 4, 5, 0.5, *[0] * 25]
    lines = page.locator("#lines-group tr").filter(has_text=".")
    expect(lines).to_have_count(3)
    expect(lines.filter(has_text=BACKWARDS)).to_contain_text("1,234")
    expect(lines.filter(has_text=HOSTILE).first).to_contain_text("0.25")


def test_a_bill_fits_a_phone_in_the_dark(page: Page, bill: Bill) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.goto(f"/admin/usage/bill/{bill.pk}/change/")
    drawn(page.get_by_role("img", name="Spend per service").locator("canvas"))
    assert fits(page)


def test_a_record_is_taken_back_with_a_reason_once(page: Page, bill: Bill) -> None:
    page.goto("/admin/usage/usagerecord/?q=k1")
    record = UsageRecord.objects.get(idempotency_key="k1")
    page.get_by_role("link", name=str(record.pk), exact=True).click()
    page.get_by_role("link", name="Take this record back").click()
    asked = f"{SERVICE} for {NAME} (123): 10 units at 0.50, 5.00 in all, reported by hosting."
    expect(page.get_by_text(asked)).to_be_visible()
    page.get_by_label("Reason").fill(f"Wrong customer {HOSTILE}")
    page.get_by_role("button", name="Take the record back").click()
    expect(page.get_by_text("Taken back: ")).to_be_visible()
    expect(page.get_by_text(f"Wrong customer {HOSTILE}")).to_be_visible()
    expect(page.get_by_text("-5.00", exact=True)).to_be_visible()
    page.get_by_role("link", name=f"(#{record.pk})").click()
    page.wait_for_url(f"**/{record.pk}/change/")
    made = UsageRecord.objects.get(corrects=record.pk)
    expect(page.get_by_role("link", name=f"(#{made.pk})")).to_be_visible()
    page.goto(f"/admin/usage/usagerecord/{record.pk}/take-back/")
    page.get_by_label("Reason").fill("Once more")
    page.get_by_role("button", name="Take the record back").click()
    expect(page.get_by_text("used with another body")).to_be_visible()
    assert UsageRecord.objects.get(corrects=record.pk) == made


def test_records_are_filtered_and_taken_along(page: Page, bill: Bill, tmp_path: Path) -> None:
    page.goto("/admin/usage/customer/")
    page.get_by_role("row").filter(has_text="Bob").get_by_role("link", name="Records").click()
    expect(page.locator("#result_list tbody tr")).to_contain_text("14,999.99")
    [row] = taken_along(page, tmp_path)
    assert (row["customer"], row["service"], row["amount"]) == ("456", "Domain", "14999.99")
    page.goto("/admin/usage/bill/?q=Alice")
    found = taken_along(page, tmp_path)
    assert [(each["service"], each["units"]) for each in found if each["service"] == BACKWARDS] == [
        (BACKWARDS, "1234")
    ]
    assert len(found) == 3


def test_a_month_is_closed_for_all_from_one_bill_and_with_the_form(page: Page, bill: Bill) -> None:
    page.goto("/admin/usage/bill/")
    page.get_by_role("row").filter(has_text=NAME).get_by_role("checkbox").check()
    page.locator("[name=action]").select_option("close_months")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("2026-05 is closed, for all customers.")).to_be_visible()
    rows = page.locator("#result_list tbody tr")
    expect(rows.filter(has_text="Closed")).to_have_count(2)

    page.goto("/admin/usage/closing/add/")
    expect(page.get_by_text("This cannot be undone.")).to_be_visible()
    page.get_by_label("Month").fill("2026-04")
    page.get_by_role("button", name="Close months").click()
    expect(page.get_by_text("Closed: 2026-04.")).to_be_visible()
    assert Closing.objects.count() == 2
    page.goto("/admin/usage/closing/add/")
    page.get_by_label("Month").fill("2999-01")
    page.get_by_role("button", name="Close months").click()
    expect(page.get_by_text("is not over")).to_be_visible()
    page.get_by_role("link", name="Leave it").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
