"""Budgets and caps: what was earned when nothing was left."""

import uuid
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from conftest import ALICE, BOB, CHARLIE
from incentives import achievements, coins, evaluation
from incentives.models import Achievement, AchievementChange, Programme, Progress, Waiting
from incentives.tests.worlds import (
    awards,
    employer,
    happened,
    logged,
    member,
    noon,
    offer,
    programme,
    retracted,
    work,
)

pytestmark = pytest.mark.django_db

PEOPLE = [ALICE, BOB, CHARLIE]


def everybody_achieves():
    for day, user_id in enumerate(PEOPLE):
        member(user_id)
        logged(user_id, range(1 + day, 6 + day))
    work()
    return [awards(user_id)[0].status for user_id in PEOPLE]


def test_a_budget_is_never_overspent():
    offer(within=programme(budget=100), cost=45)
    assert sorted(everybody_achieves()) == ["capped", "granted", "granted"]
    assert Programme.objects.get().spent == Decimal(90)


def test_a_budget_that_is_just_enough_is_spent_whole():
    offer(within=programme(budget=135), cost=45)
    assert everybody_achieves() == ["granted"] * 3


def test_a_cap_on_awards_holds():
    offer(max_awards=1)
    assert sorted(everybody_achieves()) == ["capped", "capped", "granted"]


def test_what_was_capped_is_not_shown_to_its_member(client_of):
    offer(max_awards=1)
    everybody_achieves()
    (capped,) = Achievement.objects.filter(status="capped")[:1]
    client = client_of(capped.user_id)
    assert client.get("/api/v1/incentives/achievements/").json()["results"] == []
    path = f"/api/v1/incentives/achievements/{capped.pk}/consent/"
    assert client.post(path, {"consent": True}, format="json").status_code == 404
    (entry,) = client.get("/api/v1/incentives/progress/").json()
    assert (entry["achieved"], entry["current"]) == (True, 5)


def test_a_reversal_gives_its_cost_back():
    offer(within=programme(budget=45), cost=45)
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    retracted(ids[0])
    work()
    assert Programme.objects.get().spent == 0
    logged(ALICE, [6])
    work()
    assert (awards(ALICE)[0].status, int(Programme.objects.get().spent)) == ("granted", 45)


def test_what_comes_again_finds_the_budget_gone():
    offer(within=programme(budget=45), cost=45)
    member(ALICE)
    member(BOB)
    ids = logged(ALICE, range(1, 6))
    work()
    retracted(ids[0])
    work()
    logged(BOB, range(1, 6))
    work()
    logged(ALICE, [6])
    work()
    assert (awards(ALICE)[0].status, awards(BOB)[0].status) == ("capped", "granted")


def granted_now():
    programme = Programme.objects.get()
    return achievements.grant_capped(programme=programme, by="staff:a", now=timezone.now())


def test_after_a_top_up_those_who_were_capped_get_theirs_in_order():
    offer(within=programme(budget=0), cost=45)
    assert everybody_achieves() == ["capped"] * 3
    Programme.objects.update(budget=100)
    assert granted_now() == 2
    left = Achievement.objects.get(status="capped")
    others = Achievement.objects.exclude(status="capped")
    assert left.achieved_at > max(each.achieved_at for each in others)
    assert Programme.objects.get().spent == 90
    assert granted_now() == 0


def test_what_is_capped_and_not_earned_any_more_is_never_granted():
    offer(within=programme(budget=0), cost=45)
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    retracted(ids[0])
    work()
    Programme.objects.update(budget=None)
    assert granted_now() == 0


def settled(decision):
    offer(coins=100, reward="100 coins")
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    retracted(ids[0])
    work()
    (coins,) = awards(ALICE)
    assert (coins.status, coins.needs_review) == ("fulfilled", True)
    decision(id=coins.pk, by="staff:anna", note="A mistake of ours.", now=timezone.now())
    return awards(ALICE)[0]


def test_staff_may_let_the_member_keep_it(alice):
    kept = settled(achievements.keep)
    assert (kept.status, kept.needs_review) == ("fulfilled", False)
    assert alice.get("/api/v1/wallet/balance/").json()["balance"] == 100
    last = kept.changes.order_by("version").last()
    assert (last.by, last.note) == ("staff:anna", "A mistake of ours.")


def test_staff_may_take_it_back_with_its_coins(alice):
    reversed_ = settled(achievements.reverse)
    assert (reversed_.status, reversed_.needs_review) == ("reversed", False)
    assert alice.get("/api/v1/wallet/balance/").json()["balance"] == 0
    assert list(coins.discrepancies()) == []
    logged(ALICE, [1])
    work()
    assert alice.get("/api/v1/wallet/balance/").json()["balance"] == 100
    assert list(coins.discrepancies()) == []


def test_only_what_waits_for_a_decision_is_settled():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    with pytest.raises(achievements.NothingToSettle):
        achievements.reverse(id=awards(ALICE)[0].pk, by="staff:a", note="", now=timezone.now())


def test_history_is_append_only():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    change = AchievementChange.objects.all()
    for act in (lambda: change.update(note="x"), change.delete, Achievement.objects.all().delete):
        with pytest.raises(Exception, match="Cannot"), transaction.atomic():
            act()


def test_an_award_happens_once_in_the_database():
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    again = awards(ALICE)[0]
    again.pk = uuid.uuid4()
    with pytest.raises(IntegrityError, match="once_per_occurrence"):
        again.save(force_insert=True)


def test_state_and_award_stand_or_fall_together(monkeypatch):
    offer()
    member(ALICE)
    logged(ALICE, range(1, 6))

    def broken(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("incentives.settling.record", broken)
    shard = evaluation.busy_shards()[0]
    with pytest.raises(RuntimeError), transaction.atomic():
        evaluation.evaluate(shard=shard, now=noon(9))
    assert not Progress.objects.exists()
    assert not Achievement.objects.exists()
    assert Waiting.objects.count() == 5
    monkeypatch.undo()
    work()
    assert len(awards(ALICE)) == 1


def test_another_employers_budget_is_untouched():
    offer(within=programme(budget=45), cost=45)
    there = programme("there", employer=employer("globex"), budget=45)
    offer(within=there, cost=45, slug="there")
    member(ALICE)
    member(BOB, "globex")
    for user_id in (ALICE, BOB):
        logged(user_id, range(1, 6))
    happened(BOB, noon(9))
    work()
    assert [awards(user_id)[0].status for user_id in (ALICE, BOB)] == ["granted", "granted"]
