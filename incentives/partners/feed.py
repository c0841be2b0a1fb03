"""A partner's feed: what changed is published in one step, in an order without gaps."""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from incentives.days import local_day
from incentives.models import (
    Achievement,
    FeedEntry,
    Handover,
    Partner,
    PartnerMember,
    Partnership,
)
from incentives.partners import deliveries

BATCH = 500
THE_PARTNERS = {
    Achievement.Status.RELEASED,
    Achievement.Status.FULFILLED,
    Achievement.Status.REJECTED,
}


def entries_after(partner: str, sequence: int) -> QuerySet[FeedEntry]:
    """The feed of this slug from there on; nothing for a slug that is no partner's."""
    return (
        FeedEntry.objects.filter(partner__slug=partner, sequence__gt=sequence)
        .select_related("member", "partnership")
        .order_by("sequence")
    )


def publish_all(*, now: datetime) -> int:
    """Bring every partner's feed up to date; how many entries that took."""
    waiting = Exists(Handover.objects.filter(programme=OuterRef("programme")))
    partners = Partnership.objects.filter(waiting).values_list("partner_id", flat=True).distinct()
    return sum(publish(partner, now=now) for partner in partners.order_by("partner_id"))


def publish(partner_id: int, *, now: datetime) -> int:
    """Tell one partner all that there is to tell; how many entries that took.

    Whoever finds another at it leaves it to that one, or to the next second.
    """
    published = 0
    while (found := publish_batch(partner_id, now=now)) is not None:
        published += found
    return published


@transaction.atomic
def publish_batch(partner_id: int, *, now: datetime) -> int | None:
    """None when nothing waits; else how many of those that waited the partner had to hear of."""
    # Numbers are given with the partner locked until they are committed: none is ever seen
    # before a smaller one, and none is lost with a transaction that fails.
    partner = (
        Partner.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk=partner_id)
        .first()
    )
    if partner is None:
        return None
    waiting = list(
        Handover.objects.filter(programme__partnership__partner=partner)
        .order_by("id")
        .values_list("id", "achievement_id")[:BATCH]
    )
    if not waiting:
        return None
    entries = news(partner, list(dict.fromkeys(achievement for _, achievement in waiting)), now)
    for number, entry in enumerate(entries, partner.last_sequence + 1):
        entry.sequence = number
    FeedEntry.objects.bulk_create(entries)
    partner.last_sequence += len(entries)
    partner.save(update_fields=["last_sequence"])
    deliveries.enqueue(entries, now=now)
    Handover.objects.filter(pk__in=[id for id, _ in waiting]).delete()
    return len(entries)


def news(partner: Partner, achievement_ids: list[Any], now: datetime) -> list[FeedEntry]:
    """An entry, without its number, for each that is not as the partner was told last.

    States are compared, not steps repeated: what was released and withdrawn again before
    anybody looked is never told.
    """
    achievements = Achievement.objects.select_related(
        "incentive__programme__employer", "incentive__programme__partnership"
    ).in_bulk(achievement_ids)
    told = {
        entry.achievement_id: entry
        for entry in FeedEntry.objects.filter(achievement__in=achievement_ids)
        .order_by("achievement_id", "-version")
        .distinct("achievement_id")
    }
    found = []
    for id in achievement_ids:
        entry = next_entry(achievements[id], told.get(id), now)
        if entry is not None:
            found.append(entry)
    names = pseudonyms(partner, {achievements[each.achievement_id].user_id for each in found})
    for entry in found:
        entry.partner = partner
        entry.member = names[achievements[entry.achievement_id].user_id]
    return found


def next_entry(achievement: Achievement, told: FeedEntry | None, now: datetime) -> FeedEntry | None:
    if achievement.reward_code and achievement.status in THE_PARTNERS:
        entry = FeedEntry(
            status=FeedEntry.Status.GRANTED,
            reward_code=achievement.reward_code,
            effective_on=effective_day(achievement, told, now),
        )
    elif told is not None:
        entry = FeedEntry(
            status=FeedEntry.Status.REVERSED,
            reward_code=told.reward_code,
            effective_on=told.effective_on,
        )
    else:
        return None
    if told is not None and all(
        getattr(entry, name) == getattr(told, name)
        for name in ("status", "reward_code", "effective_on")
    ):
        return None
    entry.achievement = achievement
    entry.version = told.version + 1 if told else 1
    entry.partnership = achievement.incentive.programme.partnership
    entry.published_at = now
    return entry


def effective_day(achievement: Achievement, told: FeedEntry | None, now: datetime) -> date:
    """The day it was achieved; of what is sensitive the day it was first told.

    The day of a birth is the member's own: consent releases the reward, not the date.
    """
    if not achievement.incentive.is_sensitive:
        return achievement.effective_on
    if told is not None:
        return told.effective_on
    return local_day(now, achievement.incentive.programme.employer.timezone)


def pseudonyms(partner: Partner, user_ids: set[str]) -> dict[str, PartnerMember]:
    PartnerMember.objects.bulk_create(
        [PartnerMember(partner=partner, user_id=user_id) for user_id in sorted(user_ids)],
        ignore_conflicts=True,
    )
    known = PartnerMember.objects.filter(partner=partner, user_id__in=user_ids)
    return {member.user_id: member for member in known}
