"""What README.md says is so."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import usage_client
from client_tests.samples import hosting
from usage_client import UsageClient
from usage_client.testing import UsageServer, moods

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_first_lines_work(
    server: UsageServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USAGE_API_KEY", server.api_key)
    found = re.search(r"```python\n(from usage_client.*?)```", README, re.DOTALL)
    assert found
    code = "import os\n" + found[1].replace("https://accrue.example", server.url)
    space: dict[str, Any] = {}
    exec(code, space)  # noqa: S102 - our own words
    space["client"].close()
    assert capsys.readouterr().out == "2.90 2.90\n"


def test_every_exception_has_its_line() -> None:
    exceptions = {
        name
        for name in usage_client.__all__
        if isinstance(found := getattr(usage_client, name), type) and issubclass(found, Exception)
    }
    table = README.split("## What happened")[1].split("## Recipes")[0]
    for name in exceptions - {"BufferClosed", "BufferingError"}:
        assert f"`{name}`" in table, name


def test_every_mood_is_named() -> None:
    testing = README.split("## Testing your own code")[1]
    for name in set(moods.__all__) - {"well"}:
        assert f"`{name}" in testing, name


def test_the_recipe_for_asyncio(server: UsageServer, client: UsageClient) -> None:
    async def main() -> None:
        found = await asyncio.to_thread(client.record, **hosting())
        assert found.id
        with client.buffered(linger=0) as buffer:
            result = await asyncio.wrap_future(buffer.record(**hosting()))
            assert result.ok

    asyncio.run(main())
    assert len(server.records) == 2
