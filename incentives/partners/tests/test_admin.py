"""Partners in the admin: set up, watched, put right; and no page tells who a member is."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from conftest import ALICE, BOB
from incentives import achievements
from incentives.models import (
    Delivery,
    FeedEntry,
    Partner,
    PartnerMember,
    Partnership,
    WebhookEndpoint,
)
from incentives.partners import deliveries, endpoints, feed
from incentives.partners.signing import signed_headers, written
from incentives.partners.tests.factories import earn, make_partner, make_programme, make_rule

pytestmark = pytest.mark.django_db
ROOT = "/admin/incentives"
URL = "http://127.0.0.1:9/hook"
NOW = timezone.now()


@pytest.fixture(autouse=True)
def _on_this_machine(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True


@pytest.fixture
def chief(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


@pytest.fixture
def partner():
    return make_partner()


@pytest.fixture
def endpoint(partner):
    return endpoints.add_endpoint(partner=partner, url=URL, now=timezone.now())[0]


def client_with(*permissions):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def publish(partner, *users):
    rule = make_rule(make_programme(partner))
    earned = [earn(rule, user) for user in users]
    feed.publish_all(now=timezone.now())
    return earned


def secret_on(page):
    return page.text.partition('id="secret">')[2].partition("<")[0]


def do(client, endpoint, verb, **said):
    return client.post(f"{ROOT}/webhookendpoint/{endpoint.pk}/{verb}/", said, follow=True)


# Partners


def test_a_partner_is_made_with_its_programmes_and_keeps_its_name(chief):
    programme = make_programme()
    inline = {
        "partnerships-TOTAL_FORMS": 1,
        "partnerships-INITIAL_FORMS": 0,
        "partnerships-0-programme": programme.pk,
    }
    said = {"slug": "gifts", "name": "Gifts", **inline}
    assert chief.post(f"{ROOT}/partner/add/", said).status_code == 302
    partnership = Partnership.objects.get()
    assert (partnership.partner.slug, partnership.programme) == ("gifts", programme)
    page = chief.get(f"{ROOT}/partner/{partnership.partner_id}/change/")
    assert partnership.reference == programme.slug
    assert programme.slug in page.text
    assert 'name="slug"' not in page.text
    assert chief.post(f"{ROOT}/partner/{partnership.partner_id}/delete/").status_code == 403


def test_a_programme_that_tells_too_much_gets_another_name(chief, partner):
    programmes = [make_programme(), make_programme()]

    def join(programme, reference):
        inline = {
            "partnerships-TOTAL_FORMS": 1,
            "partnerships-INITIAL_FORMS": 0,
            "partnerships-0-partner": partner.pk,
            "partnerships-0-programme": programme.pk,
            "partnerships-0-reference": reference,
        }
        return chief.post(f"{ROOT}/partner/{partner.pk}/change/", {"name": "Gifts", **inline})

    assert "begin with a dash" in join(programmes[0], "-1").text
    assert join(programmes[0], "P-7Q2K").status_code == 302
    assert "already exists" in join(programmes[1], "P-7Q2K").text
    assert join(programmes[1], "").status_code == 302
    found = Partnership.objects.order_by("pk").values_list("reference", flat=True)
    assert list(found) == ["P-7Q2K", programmes[1].slug]


def test_the_list_shows_how_partners_stand_in_few_queries(
    chief, partner, endpoint, django_assert_max_num_queries
):
    publish(partner, ALICE, BOB)
    Delivery.objects.update(state="dead")
    for number in range(10):
        make_partner(f"partner-{number}")
    with django_assert_max_num_queries(8):
        page = chief.get(f"{ROOT}/partner/")
    (row,) = [each for each in page.context["cl"].result_list if each.pk == partner.pk]
    assert (row.how_many_programmes, row.how_many_dead, row.last_sequence) == (1, 2, 2)


DELIVERIES_READ = """
SELECT pg_stat_get_xact_tuples_returned('incentives_delivery'::regclass)
     + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index
        WHERE indrelid = 'incentives_delivery'::regclass)
"""


@pytest.mark.parametrize("page", ["partner", "webhookendpoint"])
def test_what_is_counted_reads_no_delivery_that_arrived(chief, partner, page):
    publish(partner, *(str(user) for user in range(1, 41)))
    endpoint, _ = endpoints.add_endpoint(partner=partner, url=URL, now=NOW)
    states = ["dead"] * 3 + ["delivered"] * 37
    Delivery.objects.bulk_create(
        Delivery(endpoint=endpoint, entry=entry, state=state, due_at=NOW)
        for entry, state in zip(FeedEntry.objects.all(), states, strict=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # as in a table that is large
        cursor.execute(DELIVERIES_READ)
        [before] = cursor.fetchone()
        [row] = chief.get(f"{ROOT}/{page}/").context["cl"].result_list
        cursor.execute(DELIVERIES_READ)
        [after] = cursor.fetchone()
    assert row.how_many_dead == 3
    # Three, and what an index has not forgotten yet of rows that were taken back.
    assert after - before < states.count("delivered")


# Endpoints


def test_the_secret_of_a_new_endpoint_is_shown_once_and_verifies(chief, partner):
    said = {"partner": partner.pk, "url": URL}
    page = chief.post(f"{ROOT}/webhookendpoint/add/", said)
    endpoint = WebhookEndpoint.objects.get()
    (secret,) = endpoints.secrets_in_use(endpoint, timezone.now())
    assert secret_on(page) == written(secret)
    headers = signed_headers("msg_1", timezone.now(), "{}", [secret])
    Webhook(secret_on(page)).verify("{}", headers)
    assert "no-store" in page["Cache-Control"]
    for path in [f"{endpoint.pk}/change/", "", f"{endpoint.pk}/history/"]:
        assert written(secret) not in chief.get(f"{ROOT}/webhookendpoint/{path}").text


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "https://10.0.0.1/", "https://u:p@example.com/", "x", ""]
)
def test_where_only_we_can_go_is_refused_when_saved(chief, partner, endpoint, url):
    for path in ["add/", f"{endpoint.pk}/change/"]:
        said = {"partner": partner.pk, "url": url}
        page = chief.post(f"{ROOT}/webhookendpoint/{path}", said)
        assert page.status_code == 200
        assert "url" in page.context["adminform"].form.errors
    assert WebhookEndpoint.objects.get().url == URL


def test_the_same_address_twice_is_refused_with_words(chief, partner, endpoint):
    said = {"partner": partner.pk, "url": URL}
    page = chief.post(f"{ROOT}/webhookendpoint/add/", said)
    assert page.status_code == 200
    assert WebhookEndpoint.objects.count() == 1


def test_an_endpoint_is_moved(chief, endpoint):
    said = {"url": "http://127.0.0.1:10/other"}
    assert chief.post(f"{ROOT}/webhookendpoint/{endpoint.pk}/change/", said).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.url == said["url"]


def test_a_new_secret_is_shown_once_and_the_old_one_goes_on_for_a_while(chief, endpoint):
    page = do(chief, endpoint, "rotate")
    new, old = endpoints.secrets_in_use(endpoint, timezone.now())
    assert secret_on(page) == written(new)
    do(chief, endpoint, "expire")
    assert endpoints.secrets_in_use(endpoint, timezone.now()) == [new]
    assert old != new


def test_an_endpoint_is_disabled_enabled_and_retired(chief, endpoint):
    for verb, state in [("disable", "disabled"), ("enable", "active"), ("retire", "retired")]:
        do(chief, endpoint, verb)
        endpoint.refresh_from_db()
        assert endpoint.state == state
    page = do(chief, endpoint, "enable")
    assert "was retired" in page.text
    said = {"url": "http://127.0.0.1:10/other"}
    assert chief.post(f"{ROOT}/webhookendpoint/{endpoint.pk}/change/", said).status_code == 403


def test_what_an_endpoint_missed_is_sent(chief, partner):
    publish(partner, ALICE, BOB)
    endpoint, _ = endpoints.add_endpoint(partner=partner, url=URL, now=timezone.now())
    for after in ["x", "", "-1", "\uff11", "9" * 30]:
        do(chief, endpoint, "tell", after=after)
    assert not Delivery.objects.exists()
    assert "1 more on their way" in do(chief, endpoint, "tell", after="1").text


def test_what_changes_something_is_a_post_with_a_permission(endpoint):
    looking = client_with("view_webhookendpoint")
    for verb in ["rotate", "expire", "disable", "enable", "retire", "tell"]:
        path = f"{ROOT}/webhookendpoint/{endpoint.pk}/{verb}/"
        assert looking.post(path).status_code == 403
        assert looking.get(path).status_code == 405
        assert Client().post(path).status_code == 302
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(User.objects.get(username="staff"))
        assert strict.post(path).status_code == 403
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.secrets.count()) == ("active", 1)
    page = looking.get(f"{ROOT}/webhookendpoint/{endpoint.pk}/change/")
    assert "New secret" not in page.text


# Deliveries


def test_dead_letters_are_found_and_sent_again(chief, partner, endpoint):
    publish(partner, ALICE, BOB)
    dead = Delivery.objects.order_by("entry_id").first()
    Delivery.objects.filter(pk=dead.pk).update(state="dead", tries=8)
    found = chief.get(f"{ROOT}/delivery/?state__exact=dead")
    assert [each.pk for each in found.context["cl"].result_list] == [dead.pk]
    everything = list(Delivery.objects.values_list("pk", flat=True))
    said = {"action": "replay", "_selected_action": everything, "index": 0}
    page = chief.post(f"{ROOT}/delivery/", said, follow=True)
    assert "1 on their way again" in page.text
    dead.refresh_from_db()
    assert (dead.state, dead.tries) == ("pending", 0)
    assert "None of these" in chief.post(f"{ROOT}/delivery/", said, follow=True).text


def test_sending_again_needs_its_permission(partner, endpoint):
    publish(partner, ALICE)
    Delivery.objects.update(state="dead")
    looking = client_with("view_delivery")
    said = {"action": "replay", "_selected_action": [Delivery.objects.get().pk], "index": 0}
    looking.post(f"{ROOT}/delivery/", said)
    assert Delivery.objects.get().state == "dead"


def test_a_delivery_shows_its_tries_also_those_that_nobody_ended(chief, partner, endpoint):
    publish(partner, ALICE)
    deliveries.deliver_due(endpoint.pk)
    deliveries.DeliveryAttempt.objects.create(delivery=Delivery.objects.get(), at=timezone.now())
    delivery = Delivery.objects.get()
    page = chief.get(f"{ROOT}/delivery/{delivery.pk}/change/")
    assert "refused" in page.text
    assert "interrupted" in page.text
    for term in [delivery.webhook_id, str(delivery.pk)]:
        found = chief.get(f"{ROOT}/delivery/?q={term}")
        assert [each.pk for each in found.context["cl"].result_list] == [delivery.pk]
    assert list(chief.get(f"{ROOT}/delivery/?q=x").context["cl"].result_list) == []


# The feed


def test_the_feed_shows_what_was_told_and_what_the_partner_answered(chief, partner):
    fulfilled, _ = publish(partner, ALICE, BOB)
    achievements.fulfil(
        id=fulfilled.pk,
        is_fulfilled=True,
        by="partner:rewards-co",
        note="<script>alert(1)</script>",
        now=timezone.now(),
    )
    entry = FeedEntry.objects.get(achievement=fulfilled)
    page = chief.get(f"{ROOT}/feedentry/{entry.pk}/change/")
    assert "Fulfilled on" in page.text
    assert "<script>alert(1)" not in page.text
    for term in [str(fulfilled.pk), str(entry.member.pseudonym)]:
        found = chief.get(f"{ROOT}/feedentry/?q={term}")
        assert [each.pk for each in found.context["cl"].result_list] == [entry.pk]
    assert list(chief.get(f"{ROOT}/feedentry/?q=x").context["cl"].result_list) == []
    found = chief.get(f"{ROOT}/feedentry/?achievement__status__exact=fulfilled")
    assert [each.pk for each in found.context["cl"].result_list] == [entry.pk]


def test_no_page_about_a_partner_names_a_member(chief, partner, endpoint):
    publish(partner, ALICE)
    entry, delivery = FeedEntry.objects.get(), Delivery.objects.get()
    pages = [
        "partner/",
        f"partner/{partner.pk}/change/",
        "feedentry/",
        f"feedentry/{entry.pk}/change/",
        "delivery/",
        f"delivery/{delivery.pk}/change/",
        "webhookendpoint/",
        f"webhookendpoint/{endpoint.pk}/change/",
    ]
    for page in pages:
        assert ALICE not in chief.get(f"{ROOT}/{page}").text
    assert PartnerMember.objects.get().user_id == ALICE


def test_lists_cost_a_fixed_number_of_queries(
    chief, partner, endpoint, django_assert_max_num_queries
):
    publish(partner, *(str(user) for user in range(1, 40)))
    for page in ["feedentry/", "delivery/", "webhookendpoint/"]:
        with django_assert_max_num_queries(10):
            chief.get(f"{ROOT}/{page}")


@pytest.mark.parametrize("model", ["feedentry", "delivery"])
def test_history_is_changed_by_nobody(chief, partner, endpoint, model):
    publish(partner, ALICE)
    key = (FeedEntry if model == "feedentry" else Delivery).objects.get().pk
    for path in ["add/", f"{key}/change/", f"{key}/delete/"]:
        assert chief.post(f"{ROOT}/{model}/{path}", {"status": "reversed"}).status_code == 403
    assert Partner.objects.get().last_sequence == 1
