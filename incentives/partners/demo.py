"""The demo world's partner; its API key is one with `--owner rewards-co`."""

from incentives.models import Partner, Partnership, Programme


def load() -> None:
    partner, _ = Partner.objects.get_or_create(slug="rewards-co", defaults={"name": "Rewards & Co"})
    Partnership.objects.get_or_create(
        programme=Programme.objects.get(slug="healthy-start"), defaults={"partner": partner}
    )
