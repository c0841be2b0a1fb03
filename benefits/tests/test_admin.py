"""The back office: venues with their benefits, uses to find, export and reverse, a venue's page."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from benefits import demo, services
from benefits.models import Benefit, BenefitUsage, Reversal, Venue
from benefits.tests.factories import NOW, benefit, person, used

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)
USES, VENUES = "/admin/benefits/benefitusage/", "/admin/benefits/venue/"


def staff(*permissions):
    user = User.objects.create_user("-".join(permissions) or "nobody", is_staff=True)
    found = Permission.objects.filter(codename__in=permissions)
    assert len(found) == len(permissions)
    user.user_permissions.set(found)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def chief(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


@pytest.fixture
def world(db):
    """Coffee every day and sauna every week at two venues, used by two persons."""
    alice, bob = person(), person("Bob")
    coffee, sauna = benefit(), benefit("week", venue=Venue.objects.create(name="Spa"))
    used(coffee, NOW, NOW - DAY, by=alice)
    used(sauna, NOW - 40 * DAY, by=bob)
    return coffee, sauna


def listed(client, query=""):
    rows = client.get(f"{USES}{query}").context["cl"].result_list
    return [(row.benefit_id, row.usage_timestamp) for row in rows]


# Venues and their benefits


def test_a_venue_is_written_together_with_its_benefits(chief):
    management = {"benefits-INITIAL_FORMS": 0, "benefits-TOTAL_FORMS": 2}
    fields = {"benefits-0-title": "Coffee", "benefits-0-recurrence": "day"}
    fields |= {"benefits-1-title": "Sauna", "benefits-1-recurrence": "week"}
    response = chief.post(f"{VENUES}add/", {"name": "Gym", **management, **fields})
    assert response.status_code == 302
    found = Benefit.objects.values_list("venue__name", "title", "recurrence")
    assert list(found) == [("Gym", "Coffee", "day"), ("Gym", "Sauna", "week")]
    assert chief.get(f"{VENUES}{Venue.objects.get().pk}/change/").status_code == 200


def test_the_recurrence_of_a_used_benefit_may_be_changed(chief, world):
    coffee, _ = world
    fields = {"venue": coffee.venue_id, "title": "Coffee", "recurrence": "month"}
    assert chief.post(f"/admin/benefits/benefit/{coffee.pk}/change/", fields).status_code == 302
    assert Benefit.objects.get(pk=coffee.pk).recurrence == "month"


def test_what_was_used_is_not_deleted(chief, world):
    coffee, _ = world
    for url in (f"{VENUES}{coffee.venue_id}/", f"/admin/benefits/benefit/{coffee.pk}/"):
        page = chief.post(f"{url}delete/", {"post": "yes"})
        assert page.status_code == 200  # it says why not
    assert Benefit.objects.filter(pk=coffee.pk).exists()


def test_lists_cost_a_fixed_number_of_queries(chief, world, django_assert_max_num_queries):
    coffee, _ = world
    used(coffee, *(NOW - n * DAY for n in range(2, 40)))
    for number in range(20):
        benefit(title=str(number))
        person(str(number))
    for kind in ("venue", "benefit", "person", "benefitusage", "reversal"):
        with django_assert_max_num_queries(9):
            assert chief.get(f"/admin/benefits/{kind}/").status_code == 200


def test_a_persons_page_shows_the_newest_uses(chief, world, django_assert_max_num_queries):
    coffee, _ = world
    alice = coffee.usages.first().person
    used(coffee, *(NOW - n * DAY for n in range(2, 40)), by=alice)
    with django_assert_max_num_queries(12):
        page = chief.get(f"/admin/benefits/person/{alice.pk}/change/")
    (inline,) = page.context["inline_admin_formsets"]
    shown = [form.original.usage_timestamp for form in inline if form.original]
    assert shown == [NOW - n * DAY for n in range(20)]


# Uses


def test_uses_are_found_by_venue_benefit_recurrence_day_and_person(chief, world):
    coffee, sauna = world
    everything = [(sauna.pk, NOW - 40 * DAY), (coffee.pk, NOW - DAY), (coffee.pk, NOW)]
    assert listed(chief) == everything
    assert listed(chief, f"?benefit__venue__id__exact={sauna.venue_id}") == everything[:1]
    assert listed(chief, f"?benefit__id__exact={coffee.pk}") == everything[1:]
    assert listed(chief, "?benefit__recurrence__exact=week") == everything[:1]
    assert listed(chief, "?usage_timestamp_from=2026-07-01") == everything[2:]
    assert listed(chief, "?usage_timestamp_to=2026-06-29") == everything[:1]
    assert listed(chief, "?q=Bob") == everything[:1]
    assert listed(chief, f"?q={coffee.usages.first().person_id}") == everything[1:]
    for term in ("Bo", "0", "-1", "9" * 30, "１"):
        assert listed(chief, f"?q={term}") == []


def test_a_use_is_neither_added_changed_nor_deleted_by_a_form(chief, world):
    use = BenefitUsage.objects.first()
    values = {"person": 1, "benefit": 1, "usage_timestamp_0": "2020-01-01"}
    assert chief.post(f"{USES}add/", values).status_code == 403
    assert chief.post(f"{USES}{use.pk}/change/", values).status_code == 403
    assert chief.post(f"{USES}{use.pk}/delete/", {"post": "yes"}).status_code == 403
    assert BenefitUsage.objects.count() == 3


def exported(client, query=""):
    response = client.get(f"{USES}export/{query}")
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(StringIO(response.getvalue().decode())))


def test_the_export_is_the_whole_list_with_its_filters(chief, world):
    coffee, sauna = world
    used(coffee, *(NOW - n * DAY for n in range(2, 130)))
    assert len(exported(chief)) == 131
    (row,) = exported(chief, "?benefit__recurrence__exact=week")
    assert row == {
        "id": str(sauna.usages.get().pk),
        "usage_timestamp": (NOW - 40 * DAY).isoformat(),
        "person_id": str(sauna.usages.get().person_id),
        "person": "Bob",
        "venue_id": str(sauna.venue_id),
        "venue": "Spa",
        "benefit_id": str(sauna.pk),
        "benefit": "Coffee",
        "recurrence": "week",
    }
    assert "export/?q=Bob" in chief.get(f"{USES}?q=Bob").text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
def test_no_text_in_it_is_taken_for_a_formula(chief, text):
    used(benefit(title=text, venue=Venue.objects.create(name=text)), NOW, by=person(text))
    (row,) = exported(chief)
    assert row["person"] == row["venue"] == row["benefit"] == f"'{text}"


# Reversing


def test_a_use_is_reversed_with_a_reason(chief, world, admin_user):
    use = BenefitUsage.objects.latest("usage_timestamp")
    page = chief.get(f"{USES}{use.pk}/change/").text
    assert "Reverse this use" in page
    asked = chief.get(f"{USES}{use.pk}/ask/")
    assert asked["Location"] == f"{USES}{use.pk}/reverse/"
    assert "Alice" in chief.get(asked["Location"]).text
    assert chief.post(asked["Location"], {"reason": " "}).status_code == 200
    assert BenefitUsage.objects.filter(pk=use.pk).exists()
    done = chief.post(asked["Location"], {"reason": "Rung up twice"}, follow=True)
    assert "It may be used again" in done.text
    trace = Reversal.objects.get()
    assert (trace.usage_id, trace.reversed_by, trace.reason) == (
        use.pk,
        admin_user,
        "Rung up twice",
    )
    assert not BenefitUsage.objects.filter(pk=use.pk).exists()
    again = chief.post(asked["Location"], {"reason": "Rung up twice"}, follow=True)
    assert "no longer" in again.text
    assert "Rung up twice" in chief.get("/admin/benefits/reversal/").text
    assert chief.get(f"/admin/benefits/reversal/{trace.pk}/change/").status_code == 200


def test_reversing_needs_its_own_permission(world):
    use = BenefitUsage.objects.first()
    onlooker, reverser = staff("view_benefitusage"), staff("reverse_use")
    for answer in (
        onlooker.get(f"{USES}{use.pk}/reverse/"),
        onlooker.post(f"{USES}{use.pk}/reverse/", {"reason": "x"}),
        onlooker.get(f"{USES}{use.pk}/ask/"),
    ):
        assert answer.status_code == 403
    assert "Reverse this use" not in onlooker.get(f"{USES}{use.pk}/change/").text
    assert Client().post(f"{USES}{use.pk}/reverse/", {"reason": "x"}).status_code == 302
    assert BenefitUsage.objects.count() == 3
    assert reverser.post(f"{USES}{use.pk}/reverse/", {"reason": "x"}).status_code == 302
    assert BenefitUsage.objects.count() == 2


def test_nobody_edits_a_reversal(chief, world, admin_user):
    use = BenefitUsage.objects.first()
    trace = services.reverse_use(id=use.pk, by=admin_user, reason="x", now=NOW)
    url = f"/admin/benefits/reversal/{trace.pk}/"
    assert chief.post(f"{url}change/", {"reason": "y"}).status_code == 403
    assert chief.post(f"{url}delete/", {"post": "yes"}).status_code == 403
    assert chief.post("/admin/benefits/reversal/add/", {"reason": "y"}).status_code == 403


# How a venue does


def performance(client, venue):
    return client.get(f"{VENUES}{venue.pk}/performance/")


def test_the_page_shows_the_same_as_the_api(chief, till, set_clock):
    set_clock(NOW + DAY / 2)
    demo.load()
    tops = {
        each["venueId"]: each["topBenefits180Days"]
        for each in till.get("/api/v1/benefits/top/").json()
    }
    for venue in Venue.objects.all():
        context = performance(chief, venue).context
        shown = [each["uses"] for each in context["best"]]
        assert shown == [f"{each['usageCount']:,}" for each in tops[venue.pk]]
        listed = till.get(f"/api/v1/benefits/inactivity/?venueId={venue.pk}").json()
        periods = {each["benefitId"]: len(each["inactivityPeriods"]) for each in listed}
        rows = {row.benefit.pk: len(row.silences) for row in context["rows"] if row.silences}
        assert rows == periods


def test_silences_stand_where_they_were_and_say_how_long(chief, at_now):
    coffee = benefit(title="Coffee <b>", created_at=NOW - 90 * DAY)
    used(coffee, NOW - 45 * DAY)
    page = performance(chief, coffee.venue)
    (row,) = page.context["rows"]
    assert (row.unborn.left, row.unborn.width) == ("0.00%", "50.00%")
    assert [bar.left for bar in row.silences] == ["50.00%", "75.00%"]
    assert [bar.width for bar in row.silences] == ["25.00%", "25.00%"]
    assert row.idle_days == 45
    assert "17 May to 1 Jul, 45 days: nobody used it" in page.text
    assert "idle for 45 days" in page.text
    assert "Coffee &lt;b&gt;" in page.text


def test_every_day_of_the_window_has_its_bar(chief, world, at_now):
    coffee, _ = world
    page = performance(chief, coffee.venue)
    assert page.context["uses"] == "2"
    assert '"1 Jul"' in page.context["chart"]
    assert page.context["chart"].count("Jan") == 30  # from the second on


def test_a_venue_without_anything_has_a_page_too(chief):
    page = performance(chief, Venue.objects.create(name="Empty"))
    assert page.status_code == 200
    assert "no benefits yet" in page.text


def test_the_page_needs_the_permission_to_see_venues(world):
    coffee, _ = world
    assert performance(staff("view_benefitusage"), coffee.venue).status_code == 403
    assert performance(staff("view_venue"), coffee.venue).status_code == 200
    assert performance(Client(), coffee.venue).status_code == 302
    assert staff("view_venue", "view_person").get(f"{VENUES}404404/performance/").status_code == 404


def test_the_page_costs_a_fixed_number_of_queries(chief, django_assert_max_num_queries):
    venue = Venue.objects.create(name="Gym")
    for number in range(30):
        used(benefit(venue=venue, title=str(number)), *(NOW - n * DAY for n in range(3)))
    with django_assert_max_num_queries(8):
        performance(chief, venue)
