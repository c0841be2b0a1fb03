"""Adjustments as staff make them: through the admin's own pages."""

import uuid
from functools import partial

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from common.tests.races import at_once
from conftest import ALICE, BOB
from wallet import adjustments, ledger
from wallet.models import Account, Adjustment, Entry

pytestmark = pytest.mark.django_db
ADD = "/admin/wallet/adjustment/add/"
LIMIT = 10_000


def staff(name, *permissions, **options):
    user = User.objects.create_user(name, is_staff=True, **options)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ayse():
    """Asks."""
    return signed_in(staff("ayse", "adjust_balance", "approve_adjustment"))


@pytest.fixture
def bora():
    """Decides."""
    return signed_in(staff("bora", "approve_adjustment"))


def ask(client, **said):
    said = {
        "id": uuid.uuid4(),
        "user_id": ALICE,
        "amount": 500,
        "reason": "Lost in the outage",
        "corrects": "",
        **said,
    }
    return client.post(ADD, said)


def decide(client, verb, adjustment):
    return client.post(f"/admin/wallet/adjustment/{adjustment.pk}/{verb}/")


def shown(response):
    """The newest message."""
    return str(list(get_messages(response.wsgi_request))[-1])


def errors(response):
    return response.context["adminform"].form.errors


def page_of(adjustment):
    return f"/admin/wallet/adjustment/{adjustment.pk}/change/"


def credit(amount, key="credit", user_id=ALICE):
    return ledger.post(owner="tests", key=key, user_id=user_id, amount=amount, kind="gift")


# Up to the limit


@pytest.mark.parametrize("amount", [1, LIMIT, -LIMIT])
def test_up_to_the_limit_it_is_posted_at_once(ayse, amount):
    credit(LIMIT)
    response = ask(ayse, amount=amount)
    adjustment = Adjustment.objects.get()
    entry = Entry.objects.get(kind="adjustment")
    assert response.url == page_of(adjustment)
    assert "Posted" in shown(response)
    assert (adjustment.state, adjustment.entry) == ("posted", entry)
    assert (entry.account_id, entry.amount, entry.balance_after) == (ALICE, amount, LIMIT + amount)
    assert (entry.reference, entry.idempotency_key) == (str(adjustment.pk), str(adjustment.pk))
    assert (entry.owner, entry.reason) == ("wallet.adjustments", "Lost in the outage")
    assert (adjustment.requested_by.username, adjustment.decided_by) == ("ayse", None)
    assert LogEntry.objects.get().object_id == str(adjustment.pk)


def test_the_reason_is_kept_as_typed(ayse):
    reason = "  Ağustos: 2 × 250\r\n– «çift» "
    ask(ayse, reason=reason)
    assert Entry.objects.get().reason == Adjustment.objects.get().reason == reason


def test_user_ids_are_stored_canonical(ayse):
    ask(ayse, user_id=f" {ALICE.upper()} ")
    assert Account.objects.balance_of(ALICE) == 500


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason", ""),
        ("reason", " \r\n\t"),
        ("reason", "x" * 501),
        ("reason", "a\x00b"),
        ("amount", ""),
        ("amount", "0"),
        ("amount", "1.5"),
        ("amount", 10**12 + 1),
        ("amount", "NaN"),
        ("user_id", ""),
        ("user_id", "alice"),
        ("user_id", "0"),
        ("user_id", "9223372036854775808"),
        ("corrects", "0"),
        ("corrects", "first"),
        ("corrects", 2**63),
        ("id", ""),
        ("id", "7"),
    ],
)
def test_bad_input_is_shown_beside_its_field_and_writes_nothing(ayse, field, value):
    response = ask(ayse, **{field: value})
    assert response.status_code == 200
    assert list(errors(response)) == [field]
    assert not Adjustment.objects.exists()
    assert not Entry.objects.exists()


@pytest.mark.parametrize("amount", [-101, -LIMIT, -LIMIT - 1, -(10**12)])
def test_below_zero_is_refused_and_writes_nothing(ayse, amount):
    credit(100)
    response = ask(ayse, amount=amount)
    assert errors(response) == {"__all__": ["The balance is not enough"]}
    assert "Lost in the outage" in response.text
    assert not Adjustment.objects.exists()
    assert not LogEntry.objects.exists()
    assert Account.objects.balance_of(ALICE) == 100


def test_a_refused_form_can_be_sent_again_once_it_is_right(ayse):
    id = uuid.uuid4()
    ask(ayse, id=id, amount=-1)
    ask(ayse, id=id, amount=1)
    assert Account.objects.balance_of(ALICE) == 1


# Above the limit


@pytest.mark.parametrize("amount", [LIMIT + 1, -LIMIT - 1, 10**12])
def test_above_the_limit_it_waits_for_somebody_else(ayse, bora, amount):
    credit(20_000)
    response = ask(ayse, amount=amount)
    adjustment = Adjustment.objects.get()
    assert "waits" in shown(response)
    assert (adjustment.state, Account.objects.balance_of(ALICE)) == ("waiting", 20_000)

    assert "Approved" in shown(decide(bora, "approve", adjustment))
    adjustment.refresh_from_db()
    assert (adjustment.state, str(adjustment.decided_by)) == ("posted", "bora")
    assert adjustment.decided_at is not None
    assert adjustment.decided_at >= adjustment.requested_at
    assert adjustment.entry == Entry.objects.get(kind="adjustment", amount=amount)
    assert Account.objects.balance_of(ALICE) == 20_000 + amount


def test_what_is_rejected_is_never_posted(ayse, bora):
    ask(ayse, amount=LIMIT + 1)
    adjustment = Adjustment.objects.get()
    assert "Rejected" in shown(decide(bora, "reject", adjustment))
    decide(bora, "approve", adjustment)
    adjustment.refresh_from_db()
    assert (adjustment.state, str(adjustment.decided_by)) == ("rejected", "bora")
    assert not Entry.objects.exists()


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize("is_superuser", [False, True])
def test_nobody_decides_on_an_adjustment_of_his_own(verb, is_superuser):
    user = staff("solo", "adjust_balance", "approve_adjustment", is_superuser=is_superuser)
    client = signed_in(user)
    ask(client, amount=LIMIT + 1)
    adjustment = Adjustment.objects.get()
    page = client.get(page_of(adjustment)).text
    assert "somebody else has to decide" in page
    assert f"/{verb}/" not in page
    assert (
        shown(decide(client, verb, adjustment)) == "Somebody else has to decide on your adjustment"
    )
    adjustment.refresh_from_db()
    assert adjustment.state == "waiting"
    assert not Entry.objects.exists()


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_deciding_needs_its_permission(ayse, verb):
    ask(ayse, amount=LIMIT + 1)
    only_asks = signed_in(staff("can", "adjust_balance", "view_adjustment", "change_adjustment"))
    assert decide(only_asks, verb, Adjustment.objects.get()).status_code == 403
    assert Adjustment.objects.get().state == "waiting"


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_decision_is_a_post_with_a_token(ayse, verb):
    ask(ayse, amount=LIMIT + 1)
    adjustment = Adjustment.objects.get()
    url = f"/admin/wallet/adjustment/{adjustment.pk}/{verb}/"
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff("deniz", "approve_adjustment"))
    assert client.get(url).status_code == 405
    assert client.post(url).status_code == 403
    assert client.post(ADD, {}).status_code == 403
    assert Adjustment.objects.get().state == "waiting"


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject"])
def test_whoever_decides_second_is_told_who_was_first(ayse, bora, first, second):
    ask(ayse, amount=LIMIT + 1)
    adjustment = Adjustment.objects.get()
    decide(bora, first, adjustment)
    late = signed_in(staff("late", "approve_adjustment"))
    assert shown(decide(late, second, adjustment)).endswith("before, by bora.")
    assert Entry.objects.count() == (first == "approve")
    assert str(Adjustment.objects.get().decided_by) == "bora"


def test_what_was_posted_at_once_cannot_be_decided(ayse, bora):
    ask(ayse)
    shows = shown(decide(bora, "reject", Adjustment.objects.get()))
    assert shows == "Posted before, at once, below the limit."


def test_an_approval_below_zero_is_refused_and_it_goes_on_waiting(ayse, bora):
    credit(20_000)
    ask(ayse, amount=-15_000)
    credit(-10_000, "spent meanwhile")
    adjustment = Adjustment.objects.get()
    assert shown(decide(bora, "approve", adjustment)) == "The balance is not enough"
    adjustment.refresh_from_db()
    assert (adjustment.state, adjustment.decided_by) == ("waiting", None)
    credit(10_000, "topped up")
    assert "Approved" in shown(decide(bora, "approve", adjustment))
    assert Account.objects.balance_of(ALICE) == 5_000


def test_an_unknown_adjustment_cannot_be_decided(bora):
    response = decide(bora, "approve", Adjustment(pk=uuid.uuid4()))
    assert "There is no such thing" in shown(response)


# One for each form


def test_a_form_sent_twice_is_one_adjustment(ayse):
    id = uuid.uuid4()
    first, second = ask(ayse, id=id), ask(ayse, id=id)
    assert "Posted" in shown(first)
    assert "sent before" in shown(second)
    assert first.url == second.url
    assert Entry.objects.count() == Adjustment.objects.count() == LogEntry.objects.count() == 1


def test_each_form_has_an_id_of_its_own(ayse):
    pages = [ayse.get(ADD).context["adminform"].form["id"].value() for _ in range(2)]
    assert pages[0] != pages[1]


def test_a_form_cannot_be_used_for_something_else(ayse):
    id = uuid.uuid4()
    ask(ayse, id=id)
    for field, value in [("amount", 501), ("user_id", BOB), ("reason", "other")]:
        response = ask(ayse, id=id, **{field: value})
        assert errors(response)["__all__"][0].startswith("This form was used")
    assert Entry.objects.count() == 1


def test_nobody_sends_the_form_of_another(ayse):
    id = uuid.uuid4()
    ask(ayse, id=id)
    other = signed_in(staff("other", "adjust_balance"))
    assert errors(ask(other, id=id))["__all__"]


# Corrections


def test_an_adjustment_may_correct_an_entry(ayse):
    wrong = credit(300)
    ask(ayse, amount=-300, corrects=wrong.id)
    assert Entry.objects.get(kind="adjustment").corrects_id == wrong.id


@pytest.mark.parametrize("amount", [5, LIMIT + 1])
def test_an_entry_of_somebody_else_cannot_be_corrected(ayse, amount):
    bobs = credit(300, user_id=BOB)
    for entry in [bobs.id, bobs.id + 10**6]:
        response = ask(ayse, amount=amount, corrects=entry)
        assert errors(response) == {"__all__": ["This account has no such entry"]}
    assert not Adjustment.objects.exists()


@pytest.mark.parametrize("amount", [5, LIMIT + 1])
def test_an_entry_is_corrected_once(ayse, amount):
    wrong = credit(300)
    ask(ayse, amount=-300, corrects=wrong.id)
    response = ask(ayse, amount=amount, corrects=wrong.id)
    assert errors(response) == {"__all__": ["This entry was corrected before"]}
    assert Adjustment.objects.count() == 1


def test_of_two_waiting_corrections_of_one_entry_one_is_posted(ayse, bora):
    wrong = credit(300)
    for _ in range(2):
        ask(ayse, amount=LIMIT + 1, corrects=wrong.id)
    first, second = Adjustment.objects.all()
    assert "Approved" in shown(decide(bora, "approve", first))
    assert shown(decide(bora, "approve", second)) == "This entry was corrected before"
    assert "Rejected" in shown(decide(bora, "reject", second))


# Pages


def test_the_page_says_who_asked_who_decided_and_where_the_entry_is(ayse, bora):
    ask(ayse, amount=LIMIT + 1)
    adjustment = Adjustment.objects.get()
    page = bora.get(page_of(adjustment)).text
    assert f"/admin/wallet/adjustment/{adjustment.pk}/approve/" in page
    decide(bora, "approve", adjustment)
    page = bora.get(page_of(adjustment)).text
    entry = Entry.objects.get()
    for part in ["ayse", "bora", f"/admin/wallet/entry/{entry.pk}/change/", "+10,001"]:
        assert part in page
    assert "/approve/" not in page


def test_asking_needs_its_permission(bora):
    assert bora.get(ADD).status_code == 403
    assert ask(bora).status_code == 403
    assert ask(signed_in(staff("viewer", "view_adjustment", "add_adjustment"))).status_code == 403
    assert not Adjustment.objects.exists()


def test_the_form_comes_filled_in_from_an_account_and_from_an_entry(ayse):
    user = User.objects.get(username="ayse")
    user.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_account", "view_entry"])
    )
    entry = credit(300)
    for url, expected in [
        (f"/admin/wallet/account/{ALICE}/adjust/", [ALICE, None, None]),
        (f"/admin/wallet/entry/{entry.id}/correct/", [ALICE, "-300", str(entry.id)]),
    ]:
        form = ayse.get(url, follow=True).context["adminform"].form
        assert [form[name].value() for name in ["user_id", "amount", "corrects"]] == expected


def test_the_list_is_found_by_user_state_and_day(ayse):
    ask(ayse, amount=LIMIT + 1)
    ask(ayse, user_id="42")
    today = f"{timezone.now():%Y-%m-%d}"

    def found(query):
        page = ayse.get(f"/admin/wallet/adjustment/?{query}")
        return {adjustment.user_id for adjustment in page.context["cl"].result_list}

    assert found("") == {ALICE, "42"}
    assert found(f"q={ALICE.upper()}") == {ALICE}
    assert found("state__exact=posted") == {"42"}
    assert found(f"requested_at_from={today}&requested_at_to={today}") == {ALICE, "42"}
    assert found("requested_at_from=2020-01-01&requested_at_to=2020-12-31") == set()
    assert found("requested_at_from=2026-02-30&requested_at_to=9999-12-31") == {ALICE, "42"}


def test_an_adjustment_is_changed_and_deleted_by_nobody():
    chief = signed_in(staff("chief", is_superuser=True))
    ask(chief, amount=LIMIT + 1)
    adjustment = Adjustment.objects.get()
    assert chief.post(page_of(adjustment), {"reason": "edited"}).status_code == 403
    assert chief.post(f"/admin/wallet/adjustment/{adjustment.pk}/delete/").status_code == 403
    chief.post(
        "/admin/wallet/adjustment/",
        {"action": "delete_selected", "_selected_action": [adjustment.pk], "post": "yes"},
    )
    assert Adjustment.objects.get().reason == "Lost in the outage"


# Races


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("amount", [500, LIMIT + 1])
def test_20_clicks_at_once_are_one_adjustment(amount):
    user, id = staff("ayse", "adjust_balance"), uuid.uuid4()
    clients = [signed_in(user) for _ in range(20)]
    responses = at_once([partial(ask, client, id=id, amount=amount) for client in clients])
    assert {response.url for response in responses} == {page_of(Adjustment.objects.get())}
    assert sum("sent before" in shown(response) for response in responses) == 19
    assert Adjustment.objects.count() == LogEntry.objects.count() == 1
    assert Entry.objects.count() == (amount == 500)


@pytest.mark.django_db(transaction=True)
def test_of_deciders_at_once_one_wins_and_the_others_see_a_message():
    for round_ in range(3):
        ask(signed_in(staff(f"ayse {round_}", "adjust_balance")), amount=LIMIT + 1)
        adjustment = Adjustment.objects.get(state="waiting")
        deciders = [
            (signed_in(staff(f"{verb} {n} {round_}", "approve_adjustment")), verb)
            for n in range(4)
            for verb in ["approve", "reject"]
        ]
        responses = at_once(
            [partial(decide, client, verb, adjustment) for client, verb in deciders]
        )
        texts = [shown(response) for response in responses]
        assert sum("before, by" in text for text in texts) == 7
        adjustment.refresh_from_db()
        assert (adjustment.state == "posted") == bool(adjustment.entry_id)
    posted = Adjustment.objects.filter(state="posted").count()
    assert Entry.objects.count() == posted
    assert Account.objects.balance_of(ALICE) == posted * (LIMIT + 1)


def test_when_the_log_cannot_be_written_nothing_is_posted(ayse, monkeypatch):
    def fail(*args):
        raise RuntimeError("the log is full")

    monkeypatch.setattr("wallet.admin.AdjustmentAdmin.log_addition", fail)
    with pytest.raises(RuntimeError):
        ask(ayse)
    assert not Entry.objects.exists()
    assert not Adjustment.objects.exists()


def test_the_limit_is_a_setting(ayse, settings):
    settings.WALLET_ADJUSTMENT_LIMIT = 100
    ask(ayse, amount=101)
    assert Adjustment.objects.get().state == "waiting"
    assert "Up to 100 coins" in ayse.get(ADD).text


def test_a_decider_is_never_the_one_who_asked_in_the_service_too():
    user = staff("solo")
    asked, _ = adjustments.ask_for_adjustment(
        id=uuid.uuid4(),
        user_id=ALICE,
        amount=LIMIT + 1,
        reason="mine",
        corrects=None,
        by=user,
        now=timezone.now(),
    )
    for decision in [adjustments.approve_adjustment, adjustments.reject_adjustment]:
        with pytest.raises(adjustments.OwnAdjustment):
            decision(id=asked.pk, by=user, now=timezone.now())
