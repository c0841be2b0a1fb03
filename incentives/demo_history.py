"""Two months of a programme: what its members reported, earned and consented to, step by step."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from incentives import achievements, eligibility, evaluation, log
from incentives.models import Achievement, Partner, Partnership, Programme
from incentives.partners import feed

DAY = timedelta(days=1)
LENGTH, STEP = 63 * DAY, 21 * DAY
FIRST_MEMBER = 900_001
MEMBERS = 48
# How likely somebody logs a day: some nearly always, some hardly ever.
HABITS = [0.95, 0.85, 0.7, 0.5, 0.3, 0.1]
BIRTHS = 9
PARTNER = "gifts-and-care"
Status = Achievement.Status


def make(programme: Programme, *, since: datetime) -> None:
    """Ends LENGTH later."""
    # Always the same, seen from today.
    chance = random.Random(9)  # noqa: S311
    partner, _ = Partner.objects.get_or_create(slug=PARTNER, defaults={"name": "Gifts & Care"})
    Partnership.objects.create(programme=programme, partner=partner)
    members = [str(FIRST_MEMBER + number) for number in range(MEMBERS)]
    joined = since.date() - 100 * DAY
    eligibility.import_rows(
        employer=programme.employer,
        rows=[eligibility.Row(user_id, joined, None, "") for user_id in members],
        is_full=False,
        is_confirmed=False,
        now=since,
    )
    reports = list(lives(members, since.date(), chance))
    for number in range(LENGTH // STEP):
        start, end = since + number * STEP, since + (number + 1) * STEP
        log.record(
            owner="demo", reports=[each for each in reports if start <= each.occurred_at < end]
        )
        while evaluation.evaluate_all(now=end, deadline=float("inf")):
            pass
        decide(programme, end)
        feed.publish_all(now=end)


def lives(members: list[str], first: date, chance: random.Random) -> Iterator[log.Report]:
    """What each member reports, in all these days."""
    born = dict.fromkeys(chance.sample(members, BIRTHS))
    days = LENGTH // DAY
    for user_id in members:
        habit = chance.choice(HABITS)
        # Some begin later, and some lose interest.
        begins, ends = chance.randrange(days // 2), days - chance.choice([0, 0, 0, days // 4])
        for number in range(begins, ends):
            if chance.random() < habit:
                yield report(user_id, "health_data_logged", first + number * DAY, chance)
        if user_id in born:
            at = first + chance.randrange(days) * DAY
            yield report(user_id, "birth_reported", at, chance)


def report(user_id: str, kind: str, day: date, chance: random.Random) -> log.Report:
    at = datetime.combine(day, time(6 + chance.randrange(14), chance.randrange(60)), UTC)
    return log.Report(f"{user_id}-{kind}-{day}", user_id, kind, at, "", "{}")


def decide(programme: Programme, now: datetime) -> None:
    """What members and the partner say to what was earned; a few of them say nothing."""
    found = Achievement.objects.filter(incentive__programme=programme)
    for each in found.filter(status=Status.PENDING_CONSENT, consent=None):
        if (said := int(each.user_id) % 4) != 3:
            achievements.consent(id=each.pk, user_id=each.user_id, is_given=said != 2, now=now)
    for each in found.filter(status=Status.RELEASED, granted_at__lt=now):
        if (said := int(each.user_id) % 8) != 7:
            note = "No longer in stock" if said == 6 else ""
            achievements.fulfil(
                id=each.pk, is_fulfilled=said != 6, by=f"partner:{PARTNER}", now=now, note=note
            )
