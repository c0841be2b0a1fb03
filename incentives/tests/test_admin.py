"""The back office: authoring, dry runs, reasons, decisions."""

from datetime import date

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from conftest import ALICE, BOB
from incentives.models import Achievement, EventType, Incentive, Programme, Rule
from incentives.tests.worlds import (
    BIRTH,
    STREAK,
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
ADMIN = "/admin/incentives/"


def staff(*permissions):
    user = User.objects.create_user("-".join(permissions)[:150] or "nobody", is_staff=True)
    found = Permission.objects.filter(
        codename__in=permissions, content_type__app_label="incentives"
    )
    assert len(found) == len(permissions)
    user.user_permissions.set(found)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def form(**changes):
    return {
        "menu": "consecutive_days",
        "event": "health_data_logged",
        "number": "5",
        "within": "",
        "field": "",
        "where": "{}",
        "combined": "{}",
        "local_day": "event",
        "reward": "Pillow",
        "reward_code": "RW-7Q2K",
        "coins": "0",
        "cost": "45",
        "repeat": "once",
        "max_per_member": "1",
        "cool_down_days": "0",
        "max_awards": "",
        **changes,
    }


def inline(**changes):
    return {
        "incentives-TOTAL_FORMS": "1",
        "incentives-INITIAL_FORMS": "0",
        "incentives-0-name": "Five days",
        "incentives-0-slug": "five-days",
        **changes,
    }


def test_a_programme_is_written_tried_and_published_in_plain_words(boss):
    acme = employer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    said = {"name": "Healthy", "slug": "healthy", "employer": acme.pk, "currency": "USD"}
    boss.post(f"{ADMIN}programme/add/", {**said, "starts_on": "2026-01-01", **inline()})
    made = Programme.objects.get()
    incentive = made.incentives.get()
    page = boss.get(f"{ADMIN}incentive/{incentive.pk}/write_rule/")
    assert page.url == f"{ADMIN}rule/add/?incentive={incentive.pk}"
    boss.post(page.url, {**form(), "incentive": incentive.pk})
    rule = Rule.objects.get()
    assert (rule.number, rule.structure, rule.is_published) == (1, STREAK, False)
    page = boss.get(f"{ADMIN}rule/{rule.pk}/change/").content.decode()
    assert "When “health data logged” happens on 5 days in a row from 1 January 2026 on" in page
    page = boss.get(f"{ADMIN}rule/{rule.pk}/dry_run/").content.decode()
    assert "1 award, USD 45.00" in page
    assert not Achievement.objects.exists()
    for path in (f"rule/{rule.pk}/publish/", f"programme/{made.pk}/publish/"):
        assert boss.get(ADMIN + path).status_code == 200
        assert not Achievement.objects.exists()
        boss.post(ADMIN + path)
    work()
    assert [each.status for each in awards(ALICE)] == ["released"]


@pytest.mark.parametrize(
    ("said", "structure"),
    [
        ({"menu": "single", "event": "checkup_completed"},
         {"structure": "single", "event": "checkup_completed"}),
        ({"menu": "distinct_days", "number": "9"},
         {"structure": "distinct_days", "event": "health_data_logged", "days": 9}),
        ({"menu": "times_in_window", "number": "3", "within": "30"},
         {"structure": "times_in_window", "event": "health_data_logged", "times": 3, "window": 30}),
        ({"menu": "sum", "event": "activity_tracked", "field": "steps", "number": "10000"},
         {"structure": "sum", "event": "activity_tracked", "field": "steps", "threshold": 10000}),
        ({"menu": "single", "event": "quiz_completed", "where": '{"quiz": "bonds"}'},
         {"structure": "single", "event": "quiz_completed", "where": {"quiz": "bonds"}}),
        ({"menu": "combined", "combined":
          '{"structure": "any_of", "parts": [{"structure": "single", "event": "birth_reported"},'
          ' {"structure": "consecutive_days", "event": "health_data_logged", "days": 5}]}'},
         {"structure": "any_of", "parts": [BIRTH, STREAK]}),
    ],
)  # fmt: skip
def test_the_whole_menu_can_be_chosen_and_comes_back(boss, said, structure):
    incentive = Incentive.objects.create(programme=programme(), slug="i", name="I")
    boss.post(f"{ADMIN}rule/add/", {**form(**said), "incentive": incentive.pk})
    rule = Rule.objects.get()
    assert rule.structure == structure
    shown = boss.get(f"{ADMIN}rule/{rule.pk}/change/").context["adminform"].form
    again = {name: shown.get_initial_for_field(each, name) for name, each in shown.fields.items()}
    assert again["menu"] == said["menu"]
    boss.post(f"{ADMIN}rule/{rule.pk}/change/", form(**said, reward="Other"))
    rule.refresh_from_db()
    assert (rule.structure, rule.reward) == (structure, "Other")


@pytest.mark.parametrize(
    "said", [{"number": ""}, {"event": ""}, {"menu": "sum"}, {"menu": "combined"}, {"where": "5"}]
)
def test_a_rule_that_makes_no_sense_is_not_saved(boss, said):
    incentive = Incentive.objects.create(programme=programme(), slug="i", name="I")
    page = boss.post(f"{ADMIN}rule/add/", {**form(**said), "incentive": incentive.pk})
    assert page.status_code == 200
    assert page.context["adminform"].form.errors
    assert not Rule.objects.exists()


def test_what_is_intimate_can_only_be_published_as_sensitive(boss):
    incentive = Incentive.objects.create(programme=programme(), slug="i", name="I")
    rule = Rule.objects.create(incentive=incentive, number=1, structure=BIRTH, reward="Box")
    page = boss.post(f"{ADMIN}rule/{rule.pk}/publish/", follow=True)
    assert "must be sensitive" in page.content.decode()
    rule.refresh_from_db()
    assert not rule.is_published


def test_a_published_rule_is_changed_by_a_new_version_only(boss):
    incentive = offer()
    rule = Rule.objects.get()
    boss.post(f"{ADMIN}rule/{rule.pk}/change/", form(number="7"))
    rule.refresh_from_db()
    assert rule.structure == STREAK
    for _ in range(2):
        page = boss.get(f"{ADMIN}incentive/{incentive.pk}/write_rule/")
    draft = Rule.objects.get(number=2)
    assert page.url == f"{ADMIN}rule/{draft.pk}/change/"
    assert (draft.structure, draft.is_published) == (STREAK, False)


def test_what_was_sensitive_stays_so(boss):
    incentive = offer(BIRTH, slug="birth", is_sensitive=True)
    said = {
        "incentives-TOTAL_FORMS": "1", "incentives-INITIAL_FORMS": "1",
        "incentives-0-id": incentive.pk, "incentives-0-programme": incentive.programme_id,
        "incentives-0-name": "B", "incentives-0-slug": "birth", "name": "P",
        "starts_on": "2026-01-01", "currency": "USD",
    }  # fmt: skip
    page = boss.post(f"{ADMIN}programme/{incentive.programme_id}/change/", said)
    assert "stays so" in page.content.decode()


def test_other_dates_are_counted_anew_and_spending_is_kept(boss):
    incentive = offer(cost=5)
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    said = {
        "incentives-TOTAL_FORMS": "0", "incentives-INITIAL_FORMS": "0", "name": "P",
        "starts_on": "2026-06-03", "currency": "USD", "budget": "100",
    }  # fmt: skip
    boss.post(f"{ADMIN}programme/{incentive.programme_id}/change/", said)
    found = Programme.objects.get()
    assert (found.starts_on, int(found.budget), int(found.spent)) == (date(2026, 6, 3), 100, 5)
    work()
    assert awards(ALICE)[0].status == "reversed"


def test_the_figures_count_and_name_nobody(boss):
    offer()
    member(ALICE)
    member(BOB)
    logged(ALICE, range(1, 6))
    logged(BOB, [1])
    work()
    page = boss.get(f"{ADMIN}programme/{Programme.objects.get().pk}/figures/")
    (row,) = page.context["rows"]
    assert (row["under_way"], row["achieved"], row["awards"]) == (1, 1, 1)
    assert ALICE not in page.content.decode()


def test_an_award_tells_why_and_a_doubtful_one_is_settled_with_a_reason(boss):
    offer(coins=10, reward="10 coins")
    member(ALICE)
    ids = logged(ALICE, range(1, 6))
    work()
    (coins,) = awards(ALICE)
    page = boss.get(f"{ADMIN}achievement/{coins.pk}/change/").content.decode()
    assert "happens on 5 days in a row" in page
    assert "2026-06-01, 2026-06-02" in page
    retracted(ids[0])
    work()
    assert boss.get(f"{ADMIN}achievement/{coins.pk}/reverse/").status_code == 200
    assert awards(ALICE)[0].needs_review
    boss.post(f"{ADMIN}achievement/{coins.pk}/reverse/", {"note": "Logged by mistake."})
    (coins,) = awards(ALICE)
    last = coins.changes.order_by("version").last()
    assert (coins.status, last.by, last.note) == ("reversed", "staff:boss", "Logged by mistake.")


def test_health_data_are_not_shown(boss):
    happened(ALICE, noon(1), weight="secret-71.5")
    event = boss.get(f"{ADMIN}event/").context["cl"].result_list[0]
    page = boss.get(f"{ADMIN}event/{event.pk}/change/").content.decode()
    assert "secret-71.5" not in page
    assert ALICE in page


def test_members_and_their_progress_are_found_by_user(boss):
    offer()
    member(ALICE)
    member(BOB)
    logged(ALICE, [1, 2])
    work()
    logged(ALICE, [3])
    listed = boss.get(f"{ADMIN}progress/", {"q": ALICE.upper()}).context["cl"].result_list
    assert [each.user_id for each in listed] == [ALICE]
    page = boss.get(f"{ADMIN}progress/{listed[0].pk}/change/").content.decode()
    assert "2 of 5 days" in page
    assert "3 of 5 days" in page
    assert len(boss.get(f"{ADMIN}eligibility/", {"q": BOB}).context["cl"].result_list) == 1


@pytest.mark.parametrize("schema", ["[1]", '{"type": 5}', '{"$ref": "http://example.org/"}', "{"])
def test_a_schema_that_is_none_is_refused(boss, schema):
    kind = EventType.objects.get(slug="health_data_logged")
    said = {"label": "x", "sensitivity": "health", "data_schema": schema}
    assert boss.post(f"{ADMIN}eventtype/{kind.pk}/change/", said).status_code == 200
    kind.refresh_from_db()
    assert kind.data_schema == {}


def test_reading_does_not_allow_deciding():
    incentive = offer()
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    reader = staff(
        "view_programme", "view_rule", "view_incentive", "view_achievement", "view_progress"
    )
    rule, award = Rule.objects.get(), awards(ALICE)[0]
    for path in (
        f"programme/{incentive.programme_id}/publish/",
        f"programme/{incentive.programme_id}/grant_capped/",
        f"rule/{rule.pk}/publish/",
        f"achievement/{award.pk}/keep/",
        f"achievement/{award.pk}/reverse/",
        f"incentive/{incentive.pk}/write_rule/",
    ):
        assert reader.post(ADMIN + path).status_code == 403, path
    for path in (
        "programme/",
        "rule/",
        f"rule/{rule.pk}/dry_run/",
        f"achievement/{award.pk}/change/",
    ):
        assert reader.get(ADMIN + path).status_code == 200, path
    nobody = staff()
    assert nobody.get(f"{ADMIN}rule/{rule.pk}/dry_run/").status_code == 403


def test_events_are_found_by_user_and_type(boss):
    happened(ALICE, noon(1), "birth_reported")
    happened(ALICE, noon(2))
    happened(BOB, noon(2))

    def listed(query):
        page = boss.get(f"{ADMIN}event/?{query}")
        return [(each.user_id, each.type) for each in page.context["cl"].result_list]

    assert listed("type=birth_reported") == [(ALICE, "birth_reported")]
    assert listed(f"type=health_data_logged&q={ALICE.upper()}") == [(ALICE, "health_data_logged")]
    assert listed("type=nonsense") == []
    assert "?type=checkup_completed" in boss.get(f"{ADMIN}event/").text  # though none happened


def test_after_a_top_up_staff_grant_what_was_capped(boss):
    offer(within=programme(budget=0), cost=5)
    member(ALICE)
    logged(ALICE, range(1, 6))
    work()
    Programme.objects.update(budget=10)
    path = f"{ADMIN}programme/{Programme.objects.get().pk}/grant_capped/"
    assert "1 were earned" in boss.get(path).content.decode()
    boss.post(path)
    (pillow,) = awards(ALICE)
    assert pillow.status == "granted"
    assert pillow.granted_at <= timezone.now()


def test_an_incentive_has_one_draft_at_a_time(boss):
    incentive = Incentive.objects.create(programme=programme(), slug="i", name="I")
    for _ in range(2):
        page = boss.post(f"{ADMIN}rule/add/", {**form(), "incentive": incentive.pk})
    assert "has a draft already" in page.content.decode()
    assert Rule.objects.count() == 1
