"""A real browser, and a page in it that nothing may go wrong in."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.browser import DESK, chromium

# Milliseconds; a machine that is busy with other things is no fault of a page.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


# Of a module: while it runs, its event loop is everybody's in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A signed-in administrator's; nothing may go wrong in it or be asked of another server."""
    # The server's threads must not keep connections: the test database could not be dropped.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    session = Client()
    session.force_login(get_user_model().objects.create_superuser("admin", password="accrue"))
    wrong: list[str] = []

    def note_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "data" and f"{address.scheme}://{address.netloc}" != live_server.url:
            wrong.append(f"asked of {request.url}")

    def note_message(message: ConsoleMessage) -> None:
        is_icon = message.location["url"].endswith("/favicon.ico")
        if message.type in ("error", "warning") and not is_icon:
            wrong.append(message.text)

    context = browser.new_context(base_url=live_server.url, viewport=DESK)
    key = session.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": key, "url": live_server.url}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", note_request)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", note_message)
    yield page
    assert page.evaluate("window.isHurt") is None
    context.close()
    assert wrong == []
