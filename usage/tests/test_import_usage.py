"""`manage.py import_usage`: a report per line, and the same file again adds nothing."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from usage import importing, proof
from usage.management.commands import import_usage
from usage.metering import as_money
from usage.models import Bill, UsageRecord
from usage.tests.conftest import usage

pytestmark = pytest.mark.django_db
HEAD = "idempotencyKey,customerId,service,unitsConsumed,pricePerUnit,recordedAt\n"


@pytest.fixture(autouse=True)
def _customers(customers):
    pass


@pytest.fixture
def load(tmp_path):
    """What the command printed: `load("a.csv", text)`; a refusal is appended."""

    def load(name, content, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = StringIO()
        try:
            call_command("import_usage", str(path), stdout=out, **options)
        except CommandError as refused:
            return [*out.getvalue().splitlines(), f"refused: {refused}"]
        return out.getvalue().splitlines()

    return load


def ndjson(*records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


CSV = HEAD + "k1,123,Database Hosting,58,0.05,2026-05-05T00:00:00Z\nk2,456,CDN,2,0.30,\n"


def test_a_csv_file_is_imported_with_a_report_per_line(load):
    assert load("usage.csv", CSV) == ["2: created", "3: created", "2 records: 2 created."]
    assert load("usage.csv", CSV) == ["2: replayed", "3: replayed", "2 records: 2 replayed."]
    assert {as_money(bill.total) for bill in Bill.objects.all()} == {"2.90", "0.60"}
    assert {record.owner for record in UsageRecord.objects.all()} == {"import"}


def test_an_ndjson_file_is_imported_with_a_report_per_line(load):
    content = ndjson(usage(idempotencyKey="k1"), usage(idempotencyKey="k1")) + "\n"
    assert load("usage.ndjson", content) == [
        "1: created",
        "2: replayed",
        "2 records: 1 created, 1 replayed.",
    ]


def test_what_a_team_sent_itself_is_not_imported_again(load, record):
    record("k1")
    content = ndjson(usage(idempotencyKey="k1"), usage(idempotencyKey="k2"))
    assert load("u.ndjson", content, owner="hosting")[:2] == ["1: replayed", "2: created"]


def test_bad_lines_are_named_and_harm_no_other(load):
    content = HEAD.encode() + (
        b"k1,123,s,1,1,\n"
        b"k2,123,s,14,99,0.05,\n"
        b'k3,123,s,"14,99",0.05,\n'
        b"k4,123,=1+1,=2,0.05,\n"
        b"k5,abc,s,1,1,\n"
        b"k6,999,s,1,1,\n"
        b"\xff,123,s,1,1,\n"
        b"k8,123,s\x00,1,1,\n"
        b"k9,123,s,NaN,1,\n"
        b"k1,123,s,2,1,\n"
        b"\n"
        b"k11,123,s,1,1,yesterday\n"
        b'k12,123,"two\nlines",1,1,\n'
    )
    lines = load("usage.csv", content)
    words = [line.split(": ")[1] for line in lines[:-2]]
    assert words == [
        "created",
        *["invalid"] * 4,
        "unknown_customer",
        *["invalid"] * 3,
        "conflict",
        "invalid",
        "created",
    ]
    assert lines[-1] == "refused: 10 records were refused."
    assert [line.split(":")[0] for line in lines[-4:-2]] == ["13", "15"]
    assert UsageRecord.objects.count() == 2
    assert list(proof.discrepancies()) == []


def test_bad_json_lines_are_named(load):
    good = json.dumps(usage(idempotencyKey="k1"))
    spoilt = good.replace("Database", "\\ud800")
    lines = load("u.jsonl", f'{{\n[]\n{good}\n{spoilt}\n{good[:-1]}, "x": NaN}}\n')
    assert [line.split(": ")[1] for line in lines[:5]] == [
        "invalid",
        "invalid",
        "created",
        "invalid",
        "invalid",
    ]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(load):
    content = b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode()
    assert load("usage.CSV", content)[-1] == "2 records: 2 created."
    line = ndjson(usage(idempotencyKey="k9")).encode()
    assert load("u.ndjson", b"\xef\xbb\xbf" + line)[-1] == "1 records: 1 created."


@pytest.mark.parametrize(
    "head",
    ["", "k1,123,s,1,1\n", "idempotencyKey,customerId\n", f"x,{HEAD}", f"service,{HEAD}", '"a,b'],
)
def test_a_csv_file_has_to_name_its_columns(load, head):
    [refusal] = load("usage.csv", head)
    assert refusal.startswith("refused: ")
    assert not UsageRecord.objects.exists()


@pytest.mark.parametrize("owner", ["", " ", "x" * 101, "a\0b", "\udcff"])
def test_an_owner_is_one_that_an_api_key_can_have(load, owner):
    [refusal] = load("usage.csv", CSV, owner=owner)
    assert refusal.startswith("refused: ")
    assert not UsageRecord.objects.exists()


def test_a_long_file_is_read_in_pieces_and_can_be_taken_up_again(load, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 10)
    records = [usage(idempotencyKey=f"k{n}") for n in range(25)]
    load("u.ndjson", ndjson(*records[:12]))
    lines = load("u.ndjson", ndjson(*records))
    assert lines[-1] == "25 records: 13 created, 12 replayed."
    assert lines[24] == "25: created"


def test_an_empty_file_has_nothing_and_a_missing_one_is_refused(load):
    assert load("u.ndjson", "") == ["0 records: none."]
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_usage", "/nowhere/u.csv")


def test_who_watches_sees_a_bar(load, monkeypatch, capsys):
    watched = property(lambda command: True)
    monkeypatch.setattr(import_usage.Command, "is_watched", watched)
    load("usage.csv", CSV)
    assert "100% 2" in capsys.readouterr().err
