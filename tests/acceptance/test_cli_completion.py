"""Completion in the real shells: installed by one command, it offers commands, run ids and automations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from closeout.cli import exits
from closeout.cli.completion import SHELLS
from closeout.ledger.sqlite import Ledger
from tests.acceptance.cli_process import closeout, environment
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

RUNS = ["abcdef" + "a" * 20, "uvwxyz" + "b" * 20]
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
automations:
  nightly-report:
    on: { push: {} }
    status: false
    steps: [{ uses: shell, destructive: false, with: { run: 'true' } }]
"""
ASK = {
    "bash": (
        "bash",
        ["--norc", "-ic"],
        (
            "source ~/.bashrc; COMP_WORDS=({words}); COMP_CWORD=$(({count} - 1)); _closeout_completion closeout;"
            ' printf "%s\\n" "${{COMPREPLY[@]}}"'
        ),
    ),
    "zsh": (
        "zsh",
        ["-fc"],
        (
            "source ~/.zshrc; _describe() {{ print -rl -- ${{(P)3}} }}; compadd() {{ print -rl -- ${{(P)@[-1]}} }};"
            " words=({words}); CURRENT={count}; _closeout_completion"
        ),
    ),
    "fish": ("fish", ["-c"], "complete -C '{line}'"),
}
"""For each shell: the program, its options, and how to have it complete a line."""


def in_each_shell(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test once for each shell that is on this machine."""
    marks = [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                shutil.which(name) is None and os.environ.get("CI") != "true",
                reason=f"no {name} on the PATH: `make shells` installs it",
            ),
        )
        for name in SHELLS
    ]
    marked: Callable[..., None] = pytest.mark.parametrize("shell", marks)(test)
    return marked


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with `closeout` on the PATH, a configuration and a ledger of two runs in the folder where the shell starts."""
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "closeout"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m closeout "$@"\n')
    tool.chmod(0o755)
    (tmp_path / "closeout.yaml").write_text(CONFIG)
    with Ledger(tmp_path / "closeout.db", clock=HandClock()) as ledger:
        for run in RUNS:
            ledger.accept_wait(delivery(guid=run), [new_run(run, automation="preview-cleanup")])
        yield tmp_path


def variables(home: Path) -> dict[str, str]:
    """The environment of somebody whose home this is."""
    kept = {key: value for key, value in environment().items() if not key.startswith(("XDG_", "ZDOTDIR"))}
    return {**kept, "HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}


def offered(shell: str, home: Path, *words: str) -> list[str]:
    """Return what the shell offers for the last of these words, without descriptions."""
    program, arguments, script = ASK[shell]
    quoted = " ".join(f"'{word}'" for word in words)
    script = script.format(words=quoted, count=len(words), line=" ".join(words))
    done = subprocess.run(
        [program, *arguments, script],
        env=variables(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    separator = ":" if shell == "zsh" else "\t"
    return [line.partition(separator)[0] for line in done.stdout.splitlines() if line.strip()]


def install(home: Path, shell: str) -> None:
    """Install with the command that a person types."""
    done = closeout("completion", "install", cwd=home, env={**variables(home), "SHELL": f"/bin/{shell}"})
    assert done.code == exits.OK, done.err


@in_each_shell
def test_a_shell_completes_what_is_installed(home: Path, shell: str) -> None:
    """Commands, run ids from the ledger, automations from the configuration and the ledger, and actions."""
    install(home, shell)
    assert offered(shell, home, "closeout", "del") == ["deliver", "deliveries"]
    assert sorted(offered(shell, home, "closeout", "runs", "show", "")) == RUNS
    assert offered(shell, home, "closeout", "runs", "logs", "uvw") == RUNS[1:]
    assert offered(shell, home, "closeout", "runs", "list", "--automation", "") == [
        "nightly-report",
        "preview-cleanup",
    ]
    assert offered(shell, home, "closeout", "actions", "aws/s3") == ["aws/s3-delete-objects"]


@in_each_shell
def test_a_second_install_changes_nothing(home: Path, shell: str) -> None:
    """An upgrade may call it again: no start file grows, and what stood in it stays."""
    for name in (".bashrc", ".zshrc"):
        (home / name).write_text("export MINE=1")
    install(home, shell)
    before = {
        path: path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and "closeout.db" not in path.name
    }
    install(home, shell)
    assert {path: path.read_bytes() for path in before} == before
    assert (home / ".bashrc").read_text().startswith("export MINE=1")


def test_a_ledger_that_cannot_be_read_offers_nothing(home: Path) -> None:
    """The Tab key prints no error."""
    (home / "other.db").write_text("no ledger")
    words = "closeout runs show --db other.db "
    told = closeout(
        cwd=home,
        env={
            "_CLOSEOUT_COMPLETE": "bash_complete",
            "COMP_WORDS": words.replace(" ", "\n"),
            "COMP_CWORD": "5",
        },
    )
    assert (told.code, told.out.strip(), told.err) == (exits.OK, "", "")


def test_a_stack_is_not_asked(home: Path) -> None:
    """A completion asks no network."""
    told = closeout(
        cwd=home,
        env={
            "_CLOSEOUT_COMPLETE": "bash_complete",
            "COMP_WORDS": "closeout\nruns\nshow\n--stack\ns\n",
            "COMP_CWORD": "5",
        },
    )
    assert (told.code, told.out.strip(), told.err) == (exits.OK, "", "")


def test_a_shell_that_is_not_known_is_said(home: Path) -> None:
    """Nothing is written, and the message shows what to type."""
    told = closeout("completion", "install", cwd=home, env={**variables(home), "SHELL": "/bin/tcsh"})
    assert told.code == exits.USAGE
    assert told.err == "closeout: Name your shell: closeout completion install bash|zsh|fish.\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_too(shell: str) -> None:
    """For a place of one's own."""
    assert "_CLOSEOUT_COMPLETE" in closeout("completion", shell).out
