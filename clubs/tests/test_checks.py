"""What is configured wrong is said at the start, and secrets are not."""

import pytest

from clubs import checks

GOOD = {
    "ECOMMERCE_URL": "https://shop.example/api",
    "ECOMMERCE_API_KEY": "a-key",
    "ECOMMERCE_API_SECRET": "a-secret",
}


def found(settings, **changes):
    for name, value in {**GOOD, **changes}.items():
        setattr(settings, name, value)
    every = [*checks.billing_zone(None), *checks.shop(None), *checks.shop_is_there(None)]
    assert "a-secret" not in str(every)
    return [each.id for each in every]


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"ECOMMERCE_URL": "http://127.0.0.1:8080"}, []),
        ({"BILLING_TIME_ZONE": "America/Sao_Paulo"}, []),
        ({"BILLING_TIME_ZONE": "Sao Paulo"}, ["clubs.E001"]),
        ({"BILLING_TIME_ZONE": ""}, ["clubs.E001"]),
        ({"BILLING_TIME_ZONE": "../etc/passwd"}, ["clubs.E001"]),
        ({"ECOMMERCE_URL": "shop.example"}, ["clubs.E002"]),
        ({"ECOMMERCE_URL": "ftp://shop.example"}, ["clubs.E002"]),
        ({"ECOMMERCE_URL": "https://me:a-secret@shop.example"}, ["clubs.E002"]),
        ({"ECOMMERCE_URL": "https://shop.example:port"}, ["clubs.E002"]),
        ({"ECOMMERCE_API_SECRET": "a-secret\n"}, ["clubs.E003"]),
        ({"ECOMMERCE_API_KEY": "schlüssel"}, ["clubs.E003"]),
        ({"ECOMMERCE_API_KEY": ""}, ["clubs.E004"]),
        ({"ECOMMERCE_TIMEOUT": 0.0}, ["clubs.E005"]),
        ({"ECOMMERCE_TIMEOUT": 61.0}, ["clubs.E005"]),
        (dict.fromkeys(GOOD, ""), ["clubs.W001"]),
    ],
)
def test_each_mistake_has_its_id(settings, changes, ids):
    settings.DEBUG = False
    assert found(settings, **changes) == ids
