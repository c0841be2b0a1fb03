"""A dozen venues and a year of uses that ended yesterday, the same whenever it is loaded."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

from benefits.models import Benefit, BenefitUsage, Person, Venue
from benefits.recurrence import Recurrence

# Whoever loads a world of his own may count from 1.
FIRST_ID = 100_001
YEAR = 365  # days
MEMBERS = 36  # of each venue

FIRST_NAMES = """
Aino Aydın Ben Burcu Carla Chen Deniz Diego Elif Emma Farah Felix Gül Hugo Ida İrem João Kaan Lara
Leyla Luís Maja Mert Mia Nils Noor Olga Ömer Paula Quentin Rosa Selin Sofía Tarık Uma Vera Wim Yara
Zoë Zeynep
"""
LAST_NAMES = "Alves Berg Costa Demir Evans Fischer García Hansen Ito Jansen"


@dataclass(frozen=True)
class Offer:
    """A benefit: how many use it on an average day, when nobody does (days ago), since when."""

    title: str
    recurrence: Recurrence
    daily: float
    idle: tuple[tuple[int, int], ...] = ()
    age: int = 2 * YEAR
    same_as: str = ""  # a benefit of the venue that is used at the same moments: a tie


DAY, WEEK, MONTH = Recurrence
WORLD: dict[str, list[Offer]] = {
    "Harbour Gym": [
        Offer("Free towel", DAY, 14),
        Offer("Guest pass", MONTH, 0.7),
        Offer("Protein shake", DAY, 6, idle=((75, 52),)),
        Offer("Sauna evening", WEEK, 2.2, idle=((170, 120),)),
        Offer("Locker", DAY, 0, same_as="Free towel"),
    ],
    "Café Meridian": [
        Offer("Second coffee free", DAY, 9),
        Offer("Cake of the week", WEEK, 2.5),
        Offer("Brunch for two", MONTH, 0.4, idle=((40, 1),)),
        Offer("Tea refill", DAY, 3, idle=((110, 91),)),
    ],
    "Galata Cinema": [
        Offer("Popcorn upgrade", WEEK, 3),
        Offer("Monday ticket", WEEK, 2),
        Offer("Premiere seat", MONTH, 0.5),
        Offer("Late show", DAY, 1.2, idle=((30, 9),)),
    ],
    "City Library": [
        Offer("Print ten pages", DAY, 4),
        Offer("Reading room", DAY, 7, idle=((140, 118),)),
        Offer("Reserve a title", WEEK, 1.5),
    ],
    "Nordic Spa": [
        Offer("Massage, half price", MONTH, 0.6),
        Offer("Ice bath", WEEK, 1.4, idle=((160, 95),)),
        Offer("Bathrobe", DAY, 2),
    ],
    "Riverside Climbing": [
        Offer("Chalk refill", WEEK, 1.1),
        Offer("Shoe rental", DAY, 2.4),
        Offer("Belay course", MONTH, 0.2, idle=((180, 60),)),
    ],
    "Botanic Garden": [
        Offer("Entry with a friend", WEEK, 1.6, idle=((178, 121),)),
        Offer("Greenhouse tour", MONTH, 0.3),
        Offer("Seed exchange", MONTH, 0.3, same_as="Greenhouse tour"),
    ],
    "Maker Space": [
        Offer("Laser cutter, one hour", WEEK, 1),
        Offer("3D print", WEEK, 0.8),
        Offer("Tool locker", DAY, 0.9, idle=((25, 1),)),
        Offer("Soldering bench", DAY, 0.5, age=45),
    ],
    "Old Town Theatre": [
        Offer("Programme booklet", DAY, 0.6, idle=((90, 60), (45, 20))),
        Offer("Balcony seat", MONTH, 0.25),
    ],
    "Sunset Bowling": [
        Offer("Free game", WEEK, 0.5),
        Offer("Shoe rental", WEEK, 0, same_as="Free game"),
        Offer("Birthday lane", MONTH, 0.05),
    ],
    "Quiet Bookshop": [
        Offer("Gift wrapping", DAY, 0),
        Offer("Ten per cent off", MONTH, 0.1, idle=((180, 1),)),
    ],
    "Skyline Terrace": [  # opened last week
        Offer("Welcome drink", DAY, 0, age=6),
        Offer("Sunset table", WEEK, 0, age=6),
    ],
}


def load() -> bool:
    """False where people have venues already: theirs stay alone."""
    if Venue.objects.exists():
        return False
    now, source = timezone.now(), random.Random(20)  # noqa: S311  # the same world each time
    persons = Person.objects.bulk_create(
        Person(id=FIRST_ID + number, name=f"{first} {last}")
        for number, (last, first) in enumerate(
            (s, n) for s in LAST_NAMES.split() for n in FIRST_NAMES.split()
        )
    )
    benefits = 0
    uses: list[BenefitUsage] = []
    for number, (name, offers) in enumerate(WORLD.items()):
        venue = Venue.objects.create(id=FIRST_ID + number, name=name)
        members = source.sample(persons, MEMBERS)
        moments: dict[str, list[tuple[Person, datetime]]] = {}
        for offer in offers:
            benefit = Benefit.objects.create(
                id=FIRST_ID + benefits,
                venue=venue,
                title=offer.title,
                recurrence=offer.recurrence,
                created_at=now - timedelta(days=offer.age),
            )
            benefits += 1
            found = moments.get(offer.same_as) or list(history(offer, members, now.date(), source))
            moments[offer.title] = found
            uses += (
                BenefitUsage(person=person, benefit=benefit, usage_timestamp=moment)
                for person, moment in found
            )
    uses.sort(key=lambda use: use.usage_timestamp)
    for number, use in enumerate(uses):
        use.id = FIRST_ID + number
    BenefitUsage.objects.bulk_create(uses)
    return True


def history(
    offer: Offer, members: list[Person], today: date, source: random.Random
) -> Iterator[tuple[Person, datetime]]:
    """Who used it and when, by days; nobody twice within one recurrence."""
    free_from: dict[Person, datetime] = {}
    for days_ago in range(min(YEAR, offer.age - 1), 0, -1):
        if any(first >= days_ago >= last for first, last in offer.idle):
            continue
        day = today - timedelta(days=days_ago)
        is_weekend = day.weekday() >= 5
        expected = offer.daily * (1.4 if is_weekend else 0.84)
        crowd = int(expected) + (source.random() < expected % 1)
        opening = datetime.combine(day, time(8), UTC)
        seconds = sorted(source.randrange(13 * 3600) for _ in range(crowd))
        for second in seconds:
            moment = opening + timedelta(seconds=second)
            # A few come often, most seldom.
            person = members[int(MEMBERS * source.random() ** 2)]
            if moment >= free_from.get(person, moment):
                free_from[person] = moment + offer.recurrence.span
                yield person, moment
