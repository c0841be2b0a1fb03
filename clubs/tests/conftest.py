import pytest
from rest_framework.test import APIClient

from clubs.fake_shop import open_shop

KEY, SECRET = "the-key-of-our-shop", "the-secret-of-our-shop"


@pytest.fixture
def client():
    return APIClient()


@pytest.fixture
def shop(settings):
    """A real shop on a real socket, and the settings that lead there."""
    with open_shop() as (shop, url):
        settings.ECOMMERCE_URL = url
        settings.ECOMMERCE_API_KEY, settings.ECOMMERCE_API_SECRET = KEY, SECRET
        settings.ECOMMERCE_TIMEOUT = 1.0
        yield shop
