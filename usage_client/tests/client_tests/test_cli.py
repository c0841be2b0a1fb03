import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client_tests.samples import hosting
from usage_client import Spool
from usage_client.cli import main
from usage_client.testing import UsageServer, moods

Run = Callable[..., int]
LINES = [
    '{"customerId": 123, "service": "Database Hosting", "unitsConsumed": 58, "pricePerUnit": 0.05}',
    '{"customerId": 123, "service": "Database Hosting", "unitsConsumed": 58, "pricePerUnit": 0.05}',
    "",
    '{"customer_id": 456, "service": "Balancer", "units_consumed": "27", "price_per_unit": 0.03}',
]
CSV = """customer_id,service,units_consumed,price_per_unit,recorded_at,identity
123,"Hosting, large",58,0.05,2026-11-01T00:00:00Z,a
123,Linux,42,0.15,,b
456,Domain,1,14.99,,
"""


@pytest.fixture
def run(server: UsageServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("USAGE_API_KEY", server.api_key)
    return lambda *arguments: main(["--url", server.url, "--deadline", "2", *arguments])


def test_one_record(server: UsageServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    one = ["record", "--customer", "123", "--service", "s", "--units", "58", "--price", "0.05",
           "--identity", "order 1"]  # fmt: skip
    assert run(*one) == 0
    assert "1 is recorded: 2.90, on the bill of" in capsys.readouterr().out
    assert run(*one) == 0
    assert "was there before" in capsys.readouterr().out
    one[8] = "1e-9"
    assert run(*one) == 1
    assert "decimal places" in capsys.readouterr().err
    assert len(server.records) == 1


def test_a_file_is_recorded_once_however_often(
    server: UsageServer, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "november.ndjson"
    file.write_text("\n".join(LINES))
    assert run("import", str(file), "--dataset", "november") == 0
    assert capsys.readouterr().out == "3 created\n"
    file.write_text("\n".join([LINES[3], *LINES, LINES[0]]))
    assert run("import", str(file), "--dataset", "november") == 0
    # A line that was there twice, once more of each kind, wherever they stand.
    assert sorted(capsys.readouterr().out.strip().split(", ")) == ["2 created", "3 replayed"]
    assert len(server.records) == 5
    assert run("import", str(file), "--dataset", "december") == 0
    assert len(server.records) == 10


def test_lines_without_keys_need_a_name_of_the_whole(
    server: UsageServer, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.ndjson"
    file.write_text(LINES[0])
    assert run("import", str(file)) == 1
    assert "no name of the data set" in capsys.readouterr().err
    assert not server.records


def test_csv_with_a_report_for_each_line(
    server: UsageServer, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, report = tmp_path / "x.csv", tmp_path / "report"
    bad = "999,s,1,1,,c\n123,s,0,1,,d\n123,s,1\n12x,s,1,1,,e\n123,s,1.5,0.1,,a\n"
    file.write_text("\ufeff" + CSV + bad, encoding="utf-8")
    assert run("import", str(file), "--dataset", "x", "--report", str(report)) == 1
    found = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(each["line"], each["status"]) for each in found] == [
        (2, "created"),
        (3, "created"),
        (4, "created"),
        (5, "unknown_customer"),
        (6, "invalid"),
        (7, "invalid"),
        (8, "invalid"),
        (9, "conflict"),
    ]
    assert "line 6: invalid: units_consumed: must be more than 0." in capsys.readouterr().err
    assert server.records[0].usage.service == "Hosting, large"
    assert str(server.total(456)) == "14.99"


@pytest.mark.parametrize(
    "line", ["{", "[]", "5", '{"service": "a", "service": "b"}', '{"customerId": NaN}', "[" * 9999]
)
def test_a_line_that_is_none_is_reported_and_the_others_are_recorded(
    server: UsageServer, run: Run, tmp_path: Path, line: str
) -> None:
    file = tmp_path / "x.ndjson"
    file.write_text("\n".join([LINES[0], line, LINES[3]]))
    assert run("import", str(file), "--dataset", "x") == 1
    assert len(server.records) == 2


def test_an_outage_has_an_exit_code_of_its_own(
    server: UsageServer, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.ndjson"
    file.write_text(LINES[0])
    server.always(moods.unavailable(retry_after=60))
    assert run("import", str(file), "--dataset", "x") == 3
    assert "nothing is billed twice" in capsys.readouterr().err


def test_a_wrong_set_up_has_one_too(
    server: UsageServer, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("import", str(tmp_path / "none")) == 2
    (tmp_path / "latin").write_bytes(b'{"service": "\xe9"}')
    assert run("import", str(tmp_path / "latin"), "--dataset", "x") == 2
    monkeypatch.setenv("USAGE_API_KEY", "wrong")
    (tmp_path / "x").write_text(LINES[0])
    assert run("import", str(tmp_path / "x"), "--dataset", "x") == 2
    monkeypatch.delenv("USAGE_API_KEY")
    assert run("import", str(tmp_path / "x"), "--dataset", "x") == 2


def test_a_spool_is_looked_at_and_drained(
    server: UsageServer, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "spool")
    server.stop()
    buffer = server.client(deadline=0.1).buffered(spool=path)
    buffer.record_many([hosting(), hosting(customer_id=999, identity="x"), hosting()])
    buffer.close(timeout=0)
    server.start()
    assert run("spool", "status", path) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["waiting"], status["refused"]) == (3, 0)
    assert status["oldest_at"].endswith("+00:00")
    assert run("spool", "drain", path) == 1
    drained = json.loads(capsys.readouterr().out)
    assert drained == {"created": 2, "replayed": 0, "refused": 1, "waiting": 0}
    assert run("spool", "status", path) == 1
    capsys.readouterr()
    assert run("spool", "refused", path) == 0
    assert json.loads(capsys.readouterr().out)["customerId"] == 999
    server.customers[999] = "Zoe"
    assert run("spool", "retry", path) == 0
    assert run("spool", "drain", path) == 0
    assert run("spool", "discard", path) == 0
    assert len(server.records) == 3
    with pytest.raises(SystemExit):
        run("spool", "status", str(tmp_path / "none"))


def test_draining_into_an_outage_says_so(server: UsageServer, run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    server.stop()
    buffer = server.client(deadline=0.1).buffered(spool=path)
    buffer.record(**hosting())
    buffer.close(timeout=0)
    assert run("--deadline", "0.2", "spool", "drain", path, "--timeout", "0.5") == 3
    assert Spool(path).status().waiting == 1
