"""What has to be known of some users to count their events, in a constant number of queries."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from incentives import standings
from incentives.counting import Happening, Offer, Period, Standing
from incentives.offers import Members, members, offers_of


@dataclass(slots=True)
class World:
    members: Members
    offers: dict[int, list[Offer]]
    # By event type, for each employer.
    listeners: dict[int, dict[str, list[Offer]]]
    standings: dict[tuple[str, int], Standing]

    @classmethod
    def of(cls, users: Collection[str]) -> "World":
        found = members(users)
        employers = {employer for periods in found.values() for employer in periods}
        # Somebody may have standings and no eligibility left.
        employers |= standings.employers_of(users)
        offers: dict[int, list[Offer]] = {}
        for offer in offers_of(employers):
            offers.setdefault(offer.employer, []).append(offer)
        versions = {
            version.id: version
            for each in offers.values()
            for offer in each
            for version in offer.versions
        }
        listeners = {employer: by_type(each) for employer, each in offers.items()}
        return cls(found, offers, listeners, standings.load(users, versions))

    def periods(self, user_id: str, employer: int) -> Sequence[Period]:
        return self.members.get(user_id, {}).get(employer, [])

    def heard(
        self, user_id: str, happenings: Sequence[Happening]
    ) -> Iterator[tuple[Offer, list[Happening]]]:
        """The offers that listen to these, each with those that it listens to."""
        for employer in self.members.get(user_id, {}):
            listeners = self.listeners.get(employer, {})
            if len(happenings) == 1:
                for offer in listeners.get(happenings[0].type, ()):
                    yield offer, [happenings[0]]
                continue
            heard: dict[int, tuple[Offer, list[Happening]]] = {}
            for happening in happenings:
                for offer in listeners.get(happening.type, ()):
                    heard.setdefault(offer.incentive, (offer, []))[1].append(happening)
            yield from heard.values()

    def offers_for(self, user_id: str) -> Iterator[Offer]:
        """Everything that the user is or was offered, or has a standing in."""
        member_of = self.members.get(user_id, {})
        for employer, offers in self.offers.items():
            for offer in offers:
                if employer in member_of or (user_id, offer.incentive) in self.standings:
                    yield offer


def by_type(offers: Iterable[Offer]) -> dict[str, list[Offer]]:
    found: dict[str, list[Offer]] = {}
    for offer in offers:
        for each in offer.types:
            found.setdefault(each, []).append(offer)
    return found
