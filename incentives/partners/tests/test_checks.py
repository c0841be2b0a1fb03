"""Production refuses what is for trying out."""

from incentives.partners.checks import webhooks


def test_a_production_whose_webhooks_may_come_home_is_refused(settings):
    assert webhooks(None) == []
    settings.WEBHOOKS_TO_LOOPBACK = True
    (error,) = webhooks(None)
    assert error.id == "accrue.E030"
