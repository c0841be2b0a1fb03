"""Background jobs in the admin: to be seen, and a failed one to be tried again."""

from functools import partial

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from common.tests.races import at_once
from common.tests.test_api_keys import client_with

pytestmark = pytest.mark.django_db
LIST = "/admin/procrastinate/procrastinatejob/"


@pytest.fixture
def chief(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


def job(status, task="tests.pay", queue="default", **args):
    id = app.configure_task(task, queue=queue, allow_unknown=True).defer(**args)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = %s::procrastinate_job_status WHERE id = %s",
            [status, id],
        )
    return id


def listed(client, query):
    return [row.pk for row in client.get(f"{LIST}?{query}").context["cl"].result_list]


def retry(client, *ids):
    return client.post(LIST, {"action": "retry", "_selected_action": ids})


def status_of(id):
    return ProcrastinateJob.objects.get(pk=id).status


def test_jobs_are_found_by_status_task_queue_and_arguments(chief):
    failed = job("failed", order="A-7")
    waiting = job("todo", task="tests.mail", queue="slow", order="B-8")
    assert listed(chief, "") == [waiting, failed]
    assert listed(chief, "status__exact=failed") == [failed]
    assert listed(chief, "task_name=tests.mail") == [waiting]
    assert listed(chief, "queue_name=slow") == [waiting]
    assert listed(chief, "q=a-7") == [failed]


def test_a_job_shows_its_arguments_and_its_history(chief):
    id = job("failed", order="A-7")
    page = chief.get(f"{LIST}{id}/change/").text
    for part in ["tests.pay", "A-7", "deferred", "failed"]:
        assert part in page


def test_only_failed_jobs_are_sent_on_their_way_again(chief):
    ids = {status: job(status) for status in ["failed", "todo", "doing", "succeeded", "cancelled"]}
    retry(chief, *ids.values())
    assert status_of(ids.pop("failed")) == "todo"
    assert {status: status_of(id) for status, id in ids.items()} == {s: s for s in ids}
    assert retry(chief, *ids.values()).status_code == 302


def test_another_try_needs_its_permission():
    id = job("failed")
    retry(client_with("view_procrastinatejob"), id)
    assert status_of(id) == "failed"


def test_nobody_adds_changes_or_deletes_a_job_not_even_by_direct_post(chief):
    id = job("failed")
    assert chief.post(f"{LIST}add/", {}).status_code == 403
    assert chief.post(f"{LIST}{id}/change/", {"status": "succeeded"}).status_code == 403
    assert chief.post(f"{LIST}{id}/delete/", {"post": "yes"}).status_code == 403
    chief.post(LIST, {"action": "delete_selected", "_selected_action": [id], "post": "yes"})
    assert status_of(id) == "failed"


@pytest.mark.django_db(transaction=True)
def test_two_who_retry_at_once_send_it_once():
    chiefs = []
    for name in ["one", "two", "three", "four"]:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__endswith="procrastinatejob"))
        chiefs.append(Client())
        chiefs[-1].force_login(user)
    id = job("failed")
    responses = at_once([partial(retry, client, id) for client in chiefs])
    assert [response.status_code for response in responses] == [302] * 4
    assert ProcrastinateJob.objects.get(pk=id).attempts == 1


# Staff and groups, in the same dress


@pytest.mark.parametrize("url", ["user/", "user/add/", "group/", "group/add/"])
def test_the_pages_of_users_and_groups_work(chief, url):
    assert chief.get(f"/admin/auth/{url}").status_code == 200


def test_a_new_member_of_staff_can_sign_in(chief):
    password = "a long pass phrase"
    said = {"username": "ayse", "usable_password": "true", "password1": password}
    assert chief.post("/admin/auth/user/add/", {**said, "password2": password}).status_code == 302
    assert Client().login(username="ayse", password=password)
