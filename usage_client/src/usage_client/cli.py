"""`usage-client`: record one, import a file, look after a spool.

The service is named by USAGE_URL and USAGE_API_KEY (a key on the command line could be read by
everybody on the machine). Exit codes: 0 all is recorded; 1 some records were refused; 2 wrong
usage or set-up; 3 the service could not be reached: run it again, nothing is billed twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from itertools import islice
from typing import Any, TextIO

from usage_client import files
from usage_client.client import UsageClient
from usage_client.errors import (
    InvalidRecord,
    Misconfigured,
    NotFlushed,
    RecordsRefused,
    Refused,
    Unavailable,
    UsageError,
)
from usage_client.results import Result
from usage_client.spool import Spool
from usage_client.version import __version__

DONE, SOME_REFUSED, WRONG_USAGE, UNREACHABLE = range(4)
LINES_AT_ONCE = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (Misconfigured, Refused) as error:
        return complain(error, WRONG_USAGE)
    except (Unavailable, NotFlushed) as error:
        return complain(f"{error}. Run it again: nothing is billed twice.", UNREACHABLE)
    except UsageError as error:
        return complain(error, SOME_REFUSED)
    except (OSError, UnicodeDecodeError) as error:
        return complain(error, WRONG_USAGE)


def complain(error: object, code: int) -> int:
    print(f"usage-client: {error}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="usage-client",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=__version__)
    whole.add_argument("--url", default=os.environ.get("USAGE_URL", ""), help="default: USAGE_URL")
    whole.add_argument("--deadline", type=float, default=30.0, help="seconds for one request")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("record", help="record one thing")
    one.add_argument("--customer", type=int, required=True, dest="customer_id")
    one.add_argument("--service", required=True)
    one.add_argument("--units", required=True, dest="units_consumed")
    one.add_argument("--price", required=True, dest="price_per_unit", help="per unit")
    one.add_argument("--recorded-at", help="ISO 8601; default: now")
    names = one.add_mutually_exclusive_group(required=True)
    names.add_argument("--identity", help="names the business event")
    names.add_argument("--key", dest="idempotency_key", help="an idempotency key of your own")
    one.set_defaults(run=record)

    many = commands.add_parser("import", help="record a file; again as often as you like")
    many.add_argument("file", help="NDJSON or CSV, - for standard input")
    many.add_argument("--format", choices=["ndjson", "csv"], help="default: by the file's name")
    many.add_argument("--dataset", help="names what the file is, for lines without a key")
    many.add_argument("--report", help="a file for one JSON object a line: what became of it")
    many.set_defaults(run=import_file)

    spool = commands.add_parser("spool", help="look after a spool file")
    what = spool.add_subparsers(required=True, metavar="WHAT")
    for name, run, text in (
        ("status", spool_status, "what is in it, as JSON"),
        ("drain", spool_drain, "send what is in it"),
        ("refused", spool_refused, "what the service will not take, one JSON object a line"),
        ("retry", spool_retry, "let what was refused be sent again"),
        ("discard", spool_discard, "throw away what was refused"),
    ):
        command = what.add_parser(name, help=text)
        command.add_argument("spool", type=existing)
        if name == "drain":
            command.add_argument("--timeout", type=float, default=300.0, help="seconds")
        command.set_defaults(run=run)
    return whole


def existing(path: str) -> Spool:
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return Spool(path)


def client(options: argparse.Namespace) -> UsageClient:
    return UsageClient(
        options.url,
        os.environ.get("USAGE_API_KEY", ""),
        options.deadline,
        application="usage-client-cli",
        # A person's shell says how to get out of the house.
        trust_env=True,
    )


def record(options: argparse.Namespace) -> int:
    names = ("customer_id", "service", "units_consumed", "price_per_unit", "recorded_at",
             "idempotency_key", "identity")  # fmt: skip
    with client(options) as service:
        found = service.record(**{name: getattr(options, name) for name in names})
    how = "was there before" if found.replayed else "is recorded"
    bill = found.bill
    print(f"{found.id} {how}: {found.amount}, on the bill of {bill.period}, now {bill.total}")
    return DONE


def import_file(options: argparse.Namespace) -> int:
    kind = options.format or files.kind_of(options.file)
    tally: dict[str, int] = {}
    with ExitStack() as stack:
        service = stack.enter_context(client(options))
        source: TextIO = sys.stdin
        if options.file != "-":
            # With or without the mark that some programs put before UTF-8.
            source = stack.enter_context(open(options.file, encoding="utf-8-sig", newline=""))
        report = options.report and stack.enter_context(open(options.report, "w", encoding="utf-8"))
        lines = files.read(source, kind, options.dataset)
        for chunk in in_chunks(lines):
            for number, result in recorded(service, chunk):
                tally[result.status] = tally.get(result.status, 0) + 1
                if not result.ok:
                    print(f"line {number}: {result.status}: {result.error}", file=sys.stderr)
                if report:
                    print(json.dumps(told(number, result), default=str), file=report)
            if sys.stderr.isatty():
                print(f"\r{sum(tally.values())} lines", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print(file=sys.stderr)
    print(", ".join(f"{count} {status}" for status, count in tally.items()) or "nothing to record")
    return DONE if {"created", "replayed"} >= set(tally) else SOME_REFUSED


def in_chunks(lines: Iterable[files.Line]) -> Iterator[list[files.Line]]:
    remaining = iter(lines)
    while chunk := list(islice(remaining, LINES_AT_ONCE)):
        yield chunk


def recorded(service: UsageClient, lines: list[files.Line]) -> Iterator[tuple[int, Result]]:
    good = [line.record for line in lines if not isinstance(line.record, InvalidRecord)]
    verdicts = iter(service.record_many(good))
    for number, found in lines:
        if isinstance(found, InvalidRecord):
            key = found.idempotency_key
            yield number, Result(key, "invalid", errors=found.errors, error=found)
        else:
            yield number, next(verdicts)


def told(number: int, result: Result) -> dict[str, Any]:
    return {
        "line": number,
        "idempotencyKey": result.idempotency_key,
        "status": result.status,
        "id": result.id,
        "errors": list(result.errors),
    }


def spool_status(options: argparse.Namespace) -> int:
    found = options.spool.status()
    oldest = found.oldest_at and datetime.fromtimestamp(found.oldest_at, timezone.utc).isoformat()
    print(json.dumps({**found._asdict(), "oldest_at": oldest}))
    return DONE if not found.refused else SOME_REFUSED


def spool_drain(options: argparse.Namespace) -> int:
    with client(options) as service:
        buffer = service.buffered(spool=options.spool, linger=0, exit_timeout=0)
        try:
            buffer.flush(options.timeout)
        except RecordsRefused as error:
            for result in error.refused:
                print(f"{result.idempotency_key}: {result.status}: {result.error}", file=sys.stderr)
        finally:
            with suppress(UsageError):
                buffer.close()
        waiting = options.spool.status().waiting
        # Those that wait belong to a process that is running, and are its to send.
        print(json.dumps({**buffer.tally._asdict(), "waiting": waiting}))
    return SOME_REFUSED if buffer.tally.refused else DONE


def spool_refused(options: argparse.Namespace) -> int:
    for each in options.spool.refused():
        line = json.loads(each.usage.line)
        print(json.dumps({**line, "status": each.status, "errors": each.errors}))
    return DONE


def spool_retry(options: argparse.Namespace) -> int:
    print(options.spool.retry_refused())
    return DONE


def spool_discard(options: argparse.Namespace) -> int:
    print(options.spool.discard_refused())
    return DONE
