"""A wrong production set-up is refused: by the check, by the server, by the WSGI application."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import CommandError

from common.management.commands.run import STAFF, expect_a_password_of_ones_own
from common.tests.running import Service

GOOD = {
    "DEBUG": "0",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "GATEWAY_SECRET": "s3cret",
    "ALLOWED_HOSTS": "accrue.example,www.accrue.example",
}
WRONG = [
    ({"DEBUG": "1"}, "accrue.E001"),
    ({"SECRET_KEY": ""}, "accrue.E002"),
    ({"SECRET_KEY": "short"}, "accrue.E002"),
    ({"GATEWAY_SECRET": ""}, "accrue.E003"),
    ({"GATEWAY_SECRET": "sécret"}, "accrue.E005"),
    ({"GATEWAY_SECRET": "two words"}, "accrue.E005"),
    ({"ALLOWED_HOSTS": ""}, "accrue.E004"),
    ({"ALLOWED_HOSTS": "accrue.example,*"}, "accrue.E004"),
]


def found(settings, **values):
    settings.DEBUG = values["DEBUG"] == "1"
    settings.SECRET_KEY = values["SECRET_KEY"]
    settings.GATEWAY_SECRET = values["GATEWAY_SECRET"]
    settings.ALLOWED_HOSTS = [host for host in values["ALLOWED_HOSTS"].split(",") if host]
    checks = run_checks(tags=["security"], include_deployment_checks=True)
    return [each.id for each in checks if each.id.startswith("accrue.")]


def test_a_good_production_set_up_passes(settings):
    assert found(settings, **GOOD) == []


@pytest.mark.parametrize(("wrong", "error"), WRONG)
def test_each_thing_wrong_is_named(settings, wrong, error):
    assert found(settings, **{**GOOD, **wrong}) == [error]


def test_nothing_of_it_matters_in_development(settings):
    settings.DEBUG, settings.GATEWAY_SECRET = True, ""
    assert not [each for each in run_checks() if each.id.startswith("accrue.E00")]


@pytest.mark.parametrize(
    ("backend", "url", "key", "error"),
    [
        ("wallet.backends.local", "", "", None),
        ("wallet.backends.http", "http://wallet", "accrue_x", None),
        ("wallet.backends.http", "", "accrue_x", "accrue.E011"),
        ("wallet.backends.http", "http://wallet", "", "accrue.E011"),
        ("wallet.backends.elsewhere", "", "", "accrue.E010"),
    ],
)
def test_a_wallet_that_cannot_be_reached_is_refused(settings, backend, url, key, error):
    settings.WALLET_BACKEND, settings.WALLET_URL, settings.WALLET_API_KEY = backend, url, key
    wallet = [each.id for each in run_checks() if each.id.startswith("accrue.E01")]
    assert wallet == ([error] if error else [])


# As an operator sees it


def test_the_check_passes_and_fails_as_a_command(tmp_path):
    assert Service(tmp_path, GOOD).manage("check", "--deploy").returncode == 0
    refused = Service(tmp_path, {"DEBUG": "0"}).manage("check", "--deploy")
    assert refused.returncode != 0
    for error in ["accrue.E002", "accrue.E003", "accrue.E004"]:
        assert error in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_server_refuses_with_a_clear_message_and_touches_nothing(tmp_path):
    refused = Service(tmp_path, {**GOOD, "GATEWAY_SECRET": ""}).manage("run")
    assert refused.returncode != 0
    assert "set GATEWAY_SECRET" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "s3cret" not in refused.stderr
    assert not (tmp_path / "postgres").exists()


def test_the_server_refuses_data_whose_staff_has_the_password_of_development(tmp_path):
    with Service(tmp_path).running("web"):
        pass
    refused = Service(tmp_path, GOOD).manage("run", "web")
    assert refused.returncode != 0
    assert "changepassword admin" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "is_right"),
    [({}, False), ({"is_superuser": False}, False), ({"is_active": False}, True)],
)
def test_whoever_everybody_can_sign_in_as_is_refused(changes, is_right):
    name, password = STAFF
    user = User.objects.create_superuser(name, password=password)
    User.objects.update(**changes)
    with nullcontext() if is_right else pytest.raises(CommandError):
        expect_a_password_of_ones_own()
    user.set_password("another")
    user.save()
    expect_a_password_of_ones_own()


@pytest.mark.parametrize("module", ["wsgi", "rsgi"])
@pytest.mark.parametrize(
    ("settings", "is_right"), [(GOOD, True), ({**GOOD, "SECRET_KEY": "x"}, False)]
)
def test_any_other_server_is_refused_too(tmp_path, module, settings, is_right):
    done = subprocess.run(
        [sys.executable, "-c", f"from config.{module} import application"],
        cwd=django_settings.BASE_DIR,
        env=Service(tmp_path, settings).environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == is_right
    assert ("accrue.E002" in done.stderr) != is_right


def test_without_any_setting_a_secret_key_is_made_once_and_kept_private(tmp_path):
    service = Service(tmp_path)
    shown = [
        service.manage(
            "shell", "-v0", "-c", "from django.conf import settings as s; print(s.SECRET_KEY)"
        )
        for _ in range(2)
    ]
    first, second = (each.stdout for each in shown)
    assert first == second
    assert len(first) > 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
