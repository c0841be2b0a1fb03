"""What the tests in a real browser share: signing in, hostile text, and what a chart shows."""

import os
import shutil
import warnings
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

in_a_browser = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("default:No Chromium"),
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "<script>window.isHurt = true</script> & <b>bold</b> {{ 7 * 7 }}"
# A word that is read from the right, and a mark that turns round whatever follows it.
BACKWARDS = "قهوة \u202eeeffoc"
DESK, PHONE = {"width": 1400, "height": 1000}, {"width": 390, "height": 844}

IS_PAINTED = """canvas => {
  const chart = window.Chart?.getChart(canvas);
  if (!chart?.data.datasets.some((set) => set.data.some(Boolean))) return false;
  const {width, height} = canvas;
  const copy = Object.assign(document.createElement("canvas"), {width, height});
  const context = copy.getContext("2d", {willReadFrequently: true});
  context.drawImage(canvas, 0, 0);
  const ratio = chart.currentDevicePixelRatio;
  const isInked = ({x, y}) => context.getImageData(x * ratio, y * ratio, 1, 1).data[3] > 0;
  return chart.data.datasets.every((set, n) => set.data.every((value, i) =>
      !value || isInked(chart.getDatasetMeta(n).data[i].getCenterPoint())));
}"""
DRAWN = """canvas => Chart.getChart(canvas).data.datasets.map(({label, data}) => [label, data])"""


def chromium() -> str:
    given = os.environ.get("CHROMIUM")
    found = given or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        text = f"No Chromium (CHROMIUM, {', '.join(NAMES)}): THE ADMIN WAS NOT TRIED IN A BROWSER"
        warnings.warn(text, stacklevel=2)
        pytest.skip(text)
    return found


def sign_in(page: Page) -> None:
    page.goto("/admin/login/?next=/admin/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", "accrue")
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")


def drawn(chart: Locator) -> list[tuple[str | None, list[Any]]]:
    """The chart's series, once every bar that stands for something has ink where it should."""
    canvas = chart.element_handle()
    chart.page.wait_for_function(IS_PAINTED, arg=canvas)
    return [(label, data) for label, data in chart.evaluate(DRAWN)]


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the right."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
