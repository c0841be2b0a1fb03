"""A till behind the gateway, a clock to set, and a small world."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from benefits.models import Benefit
from benefits.tests.factories import NOW, benefit, person


@pytest.fixture
def till() -> APIClient:
    return APIClient()


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    def set_clock(now: datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now)

    return set_clock


@pytest.fixture
def at_now(set_clock: Callable[[datetime], None]) -> None:
    set_clock(NOW)


@pytest.fixture
def world(db: None) -> list[Benefit]:
    """Three benefits and two persons."""
    person(), person("Bob")
    return [benefit(title=title) for title in ("Coffee", "Tea", "Sauna")]
