"""`make bench`: every figure a ratio to a rival on the same data in the same run."""

import argparse
import importlib
import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
KEY = "only-for-benchmarks-0123456789-abcdefghijklmnopqrstuvwxyz"
SUITES = [
    "wallet", "quizzes", "benefits", "clubs", "usage", "usage_client", "incentives", "gengine",
]  # fmt: skip
# A production set-up, because DEBUG keeps every statement in memory.
os.environ |= {
    "DEBUG": "0",
    "LOG_LEVEL": "WARNING",
    "SECRET_KEY": KEY,
    "GATEWAY_SECRET": KEY,
    "ALLOWED_HOSTS": "localhost",
}


def main() -> None:
    django.setup()

    from django.core.management import call_command
    from django.db import connection

    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="default: all of them")
    chosen = parser.parse_args().suites or SUITES

    with connection._nodb_cursor() as cursor:
        name = connection.settings_dict["NAME"]
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')
    call_command("migrate", verbosity=0)
    for suite in chosen:
        importlib.import_module(f"benchmarks.{suite}").run()


if __name__ == "__main__":
    main()
