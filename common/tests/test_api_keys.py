"""API keys in the admin and on the command line: shown once, stored hashed, revoked for good."""

import logging

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from common.models import ApiKey, digest_of

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/common/apikey/", "/admin/common/apikey/add/"


@pytest.fixture
def chief(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


def client_with(*permissions):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def make(client, **said):
    return client.post(ADD, {"owner": "Rewards Co", "scopes": ["wallet.write"], **said})


def test_the_secret_is_on_the_page_that_follows_and_works(chief):
    response = make(chief, scopes=["wallet.read", "wallet.write"])
    key = ApiKey.objects.get()
    secret = response.context["secret"]
    assert secret in response.text
    assert key.digest == digest_of(secret)
    assert (key.owner, sorted(key.scopes)) == ("Rewards Co", ["wallet.read", "wallet.write"])
    assert ApiKey.in_use(secret) == key


def test_the_secret_is_shown_once_and_kept_nowhere(chief, caplog):
    caplog.set_level(logging.DEBUG)
    response = make(chief)
    secret = response.context["secret"]
    assert "no-store" in response["Cache-Control"]
    key = ApiKey.objects.get()
    kept = [str(response.cookies), caplog.text, str(LogEntry.objects.values())]
    kept += [chief.get(url).text for url in [LIST, f"{LIST}{key.pk}/change/", "/admin/"]]
    kept += [chief.get(f"{LIST}{key.pk}/history/").text]
    with connection.cursor() as cursor:
        for table in ["django_session", "django_admin_log", "common_apikey"]:
            cursor.execute(f"SELECT * FROM {table}")
            kept.append(str(cursor.fetchall()))
    assert not any(secret in text or secret[12:] in text for text in kept)
    assert LogEntry.objects.get().object_id == str(key.pk)


@pytest.mark.parametrize(
    "said",
    [
        {"owner": ""},
        {"owner": "  "},
        {"owner": "x" * 101},
        {"owner": "a\x00b"},
        {"scopes": []},
        {"scopes": ["everything"]},
    ],
)
def test_a_key_needs_an_owner_and_known_scopes(chief, said):
    response = make(chief, **said)
    assert list(response.context["adminform"].form.errors) == list(said)
    assert not ApiKey.objects.exists()


def test_scopes_are_checkboxes_with_their_names(chief):
    page = chief.get(ADD).text
    for name in ["wallet.write", "wallet.read"]:
        assert f'type="checkbox" name="scopes" value="{name}"' in page


@pytest.mark.parametrize("how", ["button", "action"])
def test_a_revoked_key_works_no_more(chief, how):
    key, secret = ApiKey.issue(owner="shop", scopes=["wallet.write"])
    if how == "button":
        assert f"{key.pk}/revoke/" in chief.get(f"{LIST}{key.pk}/change/").text
        chief.post(f"{LIST}{key.pk}/revoke/")
    else:
        chief.post(LIST, {"action": "revoke_selected", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert ApiKey.in_use(secret) is None
    assert LogEntry.objects.get().change_message == "Revoked."
    assert "/revoke/" not in chief.get(f"{LIST}{key.pk}/change/").text


def test_revoking_again_keeps_the_first_moment(chief):
    key, _ = ApiKey.issue(owner="shop", scopes=["wallet.write"])
    for _ in range(2):
        chief.post(f"{LIST}{key.pk}/revoke/")
        chief.post(LIST, {"action": "revoke_selected", "_selected_action": [key.pk]})
    assert LogEntry.objects.count() == 1


def test_nothing_else_about_a_key_changes_not_even_by_direct_post(chief):
    key, _ = ApiKey.issue(owner="shop", scopes=["wallet.read"])
    before = ApiKey.objects.values().get()
    url = f"{LIST}{key.pk}/"
    values = {"owner": "other", "scopes": ["wallet.write"], "revoked_at": "", "digest": "0"}
    assert chief.post(f"{url}change/", values).status_code == 403
    assert chief.post(f"{url}delete/", {"post": "yes"}).status_code == 403
    chief.post(LIST, {"action": "delete_selected", "_selected_action": [key.pk], "post": "yes"})
    assert chief.get(f"{url}revoke/").status_code == 405
    assert ApiKey.objects.values().get() == before


def test_making_and_revoking_need_their_permissions():
    key, secret = ApiKey.issue(owner="shop", scopes=["wallet.read"])
    viewer = client_with("view_apikey")
    assert make(viewer).status_code == 403
    assert viewer.post(f"{LIST}{key.pk}/revoke/").status_code == 403
    viewer.post(LIST, {"action": "revoke_selected", "_selected_action": [key.pk]})
    assert "/revoke/" not in viewer.get(f"{LIST}{key.pk}/change/").text
    assert ApiKey.in_use(secret) == key


def test_the_list_tells_keys_apart_without_telling_them(chief):
    key, secret = ApiKey.issue(owner="shop", scopes=["wallet.read", "wallet.write"])
    ApiKey.in_use(secret)
    old, _ = ApiKey.issue(owner="old shop", scopes=["wallet.read"])
    old.revoke()
    page = chief.get(LIST).text
    for part in [key.hint, "wallet.read, wallet.write", "In use", "Revoked"]:
        assert part in page
    assert secret not in page
    (row,) = chief.get(f"{LIST}?revoked_at__isempty=1").context["cl"].result_list
    assert row == key
    assert row.last_used_at is not None


# On the command line


@pytest.mark.parametrize("owner", ["Ağ & Co", "می\u200cخواهم", "Dupont\u00a0SA", "日本\u3000x"])
def test_the_command_prints_the_key_and_nothing_else(owner, capsys):
    call_command("create_api_key", owner=owner, scopes="wallet.write, wallet.read")
    printed = capsys.readouterr()
    key = ApiKey.in_use(printed.out.removesuffix("\n"))
    assert key is not None
    assert (key.owner, key.scopes) == (owner, ["wallet.read", "wallet.write"])
    assert printed.err == ""


@pytest.mark.parametrize(
    ("owner", "scopes"),
    [
        ("", "wallet.read"),
        (" ", "wallet.read"),
        ("x" * 101, "wallet.read"),
        ("a\x00", "wallet.read"),
    ]
    + [("shop", scopes) for scopes in ["", ",", "everything", "wallet.read,everything"]],
)
def test_the_command_refuses_no_owner_and_unknown_scopes(owner, scopes):
    with pytest.raises(CommandError):
        call_command("create_api_key", owner=owner, scopes=scopes)
    assert not ApiKey.objects.exists()
