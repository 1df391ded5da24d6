"""Ask before a command that could destroy something, and record who asked for it.

`replay`, `rerun` and `deliver` to another machine show what would happen, then come here. Without a terminal
nobody can answer, so `--yes` is required; without it the command is refused, with its own exit code.
"""

from __future__ import annotations

import getpass
import socket
import sys

import click

from closeout.core.errors import NotConfirmed


def who() -> str:
    """Return `user@host`, which is recorded with every request."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}".encode("utf-8", "replace").decode()


def confirm(question: str, *, yes: bool) -> None:
    """Return if `yes`, or if a person at the terminal says so; else raise `NotConfirmed`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed("Nothing was done: this needs a confirmation. Add --yes to confirm.")
    if not click.confirm(question, default=False, err=True):
        raise NotConfirmed("Nothing was done.")
