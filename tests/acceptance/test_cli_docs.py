"""The documentation's command lines are ones that closeout takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from closeout.cli.commands import CONTEXT
from closeout.cli.main import closeout as root
from tests.acceptance.cli_process import ROOT

FENCE = re.compile(r"^ *```(\w*).*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELLS = {"bash", "console", "ini", "sh", "shell"}
TRANSCRIPTS = {"", "text"}
CALL = re.compile(r"(?:^|[\s/=`(])closeout ((?:[a-z]+)\b[^|;&><#`)]*)")


def pages() -> list[Path]:
    """Every page that people read."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path for path in found if path.is_file())


def calls(text: str) -> Iterator[str]:
    """Every call of closeout in a page's code blocks, continued lines joined, without `closeout` itself."""
    for language, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if language in SHELLS or (
                language in TRANSCRIPTS and line.lstrip().startswith(("$", "closeout"))
            ):
                yield from CALL.findall(line.partition("# ")[0])


def complaint(call: str) -> str | None:
    """Say what closeout would not take of a call; None if it takes it."""
    try:
        words = shlex.split(call)
    except ValueError:
        return "it cannot be split"
    command: click.Command = root
    context = click.Context(root, info_name="closeout", **CONTEXT)
    while isinstance(command, click.Group) and words:
        inner = command.get_command(context, words[0])
        if inner is None:
            return f"there is no command {words[0]}"
        command, words = inner, words[1:]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = [
        word
        for word in words
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in known | {"--help", "-h"}
    ]
    return f"{command.name} has no {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_call_in_the_docs_is_one_that_closeout_takes(page: Path) -> None:
    """Commands and options in code blocks exist under these names."""
    told = page.read_text("utf-8")
    wrong = [f"closeout {call.strip()}: {why}" for call in calls(told) if (why := complaint(call))]
    assert not wrong, "\n".join(wrong)


def test_the_check_itself_notices_a_wrong_call() -> None:
    """A misspelt command, a misspelt option and a good call are told apart."""
    assert complaint("runs lsit") == "there is no command lsit"
    assert complaint("runs list --jsno") == "list has no --jsno"
    assert complaint("runs list --json --limit 3") is None
    assert list(calls("```console\n$ closeout serve \\\n  --port 1\n```\n")) == ["serve    --port 1"]
