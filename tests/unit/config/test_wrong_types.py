"""A value of the wrong type: the finding says how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import check
from tests.unit.config.samples import REQUEST, SHELL, preview

HEADERS = "url: 'https://example.org'"
PYTHON = SHELL.replace("uses: shell", "uses: python")


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        (SHELL.replace("{ run: 'true' }", "now"), "a map", "write with: { input: value }"),
        (
            SHELL.replace("- uses: shell", "- now\n      - uses: shell"),
            "a map",
            "write `uses: …` and `with: …`",
        ),
        (
            REQUEST.replace(HEADERS, f"{HEADERS}, secret-headers: x"),
            "a map",
            "write NAME: reference pairs, like Authorization: env:TOKEN",
        ),
        (REQUEST.replace(HEADERS, f"{HEADERS}, headers: x"), "a map", "write NAME: value pairs"),
        (
            REQUEST.replace(HEADERS, f"{HEADERS}, headers: {{ Authorization: x }}"),
            "credentials do not belong into `headers`",
            "",
        ),
        (
            preview("automations:", "protect: { tags: keep }\nautomations:"),
            "a map",
            "write tag: value pairs; '*' stands for any value",
        ),
        (preview("automations:", "patrol: 5\nautomations:"), "a map", "write key: value pairs"),
        (
            preview("[acme/shop]", "{ acme: shop }"),
            "a list",
            "write [a, b], or one item a line after `- `",
        ),
        (SHELL.replace("on: push", "on: push\n    if: 5"), "text", "quote it: '5'"),
        (PYTHON.replace("run: 'true'", "function: a.b"), "`function` is pkg.module:name", ""),
        (
            PYTHON.replace("run: 'true'", "function: 'a:b', args: x"),
            "a map",
            "",
        ),
    ],
)
def test_each_says_how_to_write_it(tmp_path: Path, text: str, said: str, fix: str) -> None:
    """A beginner reads this message first."""
    file = tmp_path / "closeout.yaml"
    file.write_text(text)
    found = [f"{one.message} {one.fix}" for one in check(file, builtin(), modules=False)]
    assert [one for one in found if said in one and fix in one], found
