"""`closeout open`, `closeout token`, `closeout session`: who may see a server's pages and act on them.

A link is signed with the ledger's own key, so it needs no write and works as soon as the server runs. Tokens are created and
credentials are ended by the ledger's one writer: the server if one runs, or else the command itself.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click
from click.shell_completion import CompletionItem

from closeout.adapters.clock import SystemClock
from closeout.cli import options, output, suggestions
from closeout.cli.commands import Group, command, group
from closeout.cli.confirm import who
from closeout.cli.requests import via_writer
from closeout.core.errors import InputError, NotFound, Unavailable
from closeout.core.json_times import with_iso_times
from closeout.core.url import parse_base
from closeout.ledger.sqlite import Ledger, Requests, Views
from closeout.ports import Credential
from closeout.ports.access import ACT, READ, TOKEN
from closeout.server import access, details

Suggest: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
LONGEST_NAME = 80
PATIENCE = 30.0
"""Seconds to wait until the server has written."""


def _base(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    try:
        return None if given is None else str(parse_base(given))
    except InputError as error:
        raise click.BadParameter(f"{error.message[:1].upper()}{error.message[1:]}.") from None


@command("open", "closeout open", "closeout open --read-only --url https://closeout.example.com")
@options.config
@options.db
@click.option(
    "--url",
    metavar="BASE",
    callback=_base,
    help="The server's address as your browser reaches it.  [default: the one that the server knows]",
)
@click.option("--read-only", is_flag=True, help="Sign in with the right to read only.")
@options.as_json
def open(config: Path, db: Path | None, url: str | None, read_only: bool, as_json: bool) -> None:  # noqa: A001
    """Print a link that signs you in to the server's pages.

    The link works once, within ten minutes, and starts a session of eight hours under your name. Anyone who has the link
    can use it, so do not share it.
    """
    path = options.existing_ledger(db, config)
    views = Views(path)
    key = views.setting(details.KEY_SETTING)
    base = (
        url or (views.setting(details.PAGES_SETTING) or views.setting(details.BASE_SETTING) or b"").decode()
    )
    views.close()
    if key is None or not base:
        raise Unavailable(f"No server has run on {path} yet. Start `closeout serve`, then repeat this.")
    right = READ if read_only else ACT
    link = access.login_link(base, key, who(), time.time(), right=right)
    running = Requests(path).server_running()
    if as_json:
        seconds = int(access.CODE_SECONDS)
        output.print_json(
            {"url": link, "right": right, "expires_in_seconds": seconds, "server_running": running}
        )
        return
    output.say(link)
    output.note("It works once, within ten minutes. End its session with `closeout session revoke`.")
    if not running:
        output.note("No server is running on this ledger: start `closeout serve` before you open the link.")
    if not access.keeps_sessions(base):
        output.note(
            "Browsers keep no session at this address, because over HTTP they keep one only at 127.0.0.1. Name an HTTPS"
            " address with --url, or use an SSH tunnel."
        )


def _name(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    if not given.isprintable() or not 0 < len(given.strip()) <= LONGEST_NAME:
        raise click.BadParameter(f"Write a name of 1 to {LONGEST_NAME} printable characters.")
    return given.strip()


@group("token", "closeout token create grafana", "closeout token list", "closeout token revoke 3")
def token() -> None:
    """Make, list and revoke tokens for programs that use the server's JSON API."""


@token.command(
    "create", examples=("closeout token create grafana", "closeout token create bot --act --expires 90d")
)
@click.argument("name", callback=_name)
@click.option("--act", is_flag=True, help="Allow rerun, cancel, replay, clean and pause, too.")
@click.option(
    "--expires",
    callback=options.optional_age,
    metavar="AGE",
    help="Let it expire after 90d, 12h, 30m or 45s.  [default: never]",
)
@options.config
@options.db
@options.as_json
def create(name: str, act: bool, expires: float | None, config: Path, db: Path | None, as_json: bool) -> None:
    """Print a new token. The ledger keeps only its digest, so it is not shown again.

    Send it as `Authorization: Bearer TOKEN`. It can read everything in the ledger. With --act it can also start
    runs, which delete.
    """
    path = options.existing_ledger(db, config)
    secret = access.new_secret(_key(path), TOKEN)
    values: dict[str, Any] = {
        "name": name,
        "right": ACT if act else READ,
        "digest": access.digest(secret),
        "expires_at": None if expires is None else time.time() + expires,
    }

    others = [str(each.id) for each in _holding("token", path) if each.name == name]
    _written(path, "token", json.dumps(values), lambda ledger: ledger.credentials.add(TOKEN, **values))
    if as_json:
        output.print_json(
            {"token": secret, "name": name, "right": values["right"], "expires_at": values["expires_at"]}
        )
        return
    output.say(secret)
    output.note(f"It is not shown again. `closeout token list` lists it as {output.clean(name)}.")
    if others:
        output.note(
            f"Another token of this name is active: {', '.join(others)}. `closeout token revoke NUMBER` ends it."
        )


@group("session", "closeout session list", "closeout session revoke 7")
def session() -> None:
    """List and revoke the sessions that links of `closeout open` made."""


def _list_and_revoke(kind: str, held: Group, example: int, known: Suggest) -> None:
    """Add the commands that sessions and tokens share."""

    @held.command("list", examples=(f"closeout {kind} list",), help=f"List {kind}s, the newest first.")
    @options.config
    @options.db
    @options.as_json
    def list_(config: Path, db: Path | None, as_json: bool) -> None:
        found = _all(kind, options.existing_ledger(db, config))
        if as_json:
            output.print_json([with_iso_times(each.to_json()) for each in found])
            return
        rows = [_cells(each, time.time()) for each in found]
        output.table(("NUMBER", "NAME", "MAY", "AGE", "EXPIRES", "ACTIVE"), rows, shrink=(1,))

    @held.command(
        "revoke",
        examples=(f"closeout {kind} revoke {example}",),
        help=f"End a {kind} now. NUMBER is that of `closeout {kind} list`.",
    )
    @click.argument("number", type=click.IntRange(1), shell_complete=known)
    @options.config
    @options.db
    def revoke(number: int, config: Path, db: Path | None) -> None:
        path = options.existing_ledger(db, config)
        if not any(each.id == number for each in _holding(kind, path)):
            raise NotFound(f"There is no active {kind} {number}; `closeout {kind} list` shows them.")
        _written(path, "revoke", str(number), lambda ledger: ledger.credentials.end(number))
        output.say(f"The {kind} {number} has ended.")


_list_and_revoke("token", token, 3, suggestions.tokens)
_list_and_revoke("session", session, 7, suggestions.sessions)


def _key(path: Path) -> bytes:
    """Return the ledger's own key, made now if no server has run on it."""
    views = Views(path)
    key = views.setting(details.KEY_SETTING)
    views.close()
    if key is not None:
        return key
    with Ledger(path, clock=SystemClock()) as ledger:
        return ledger.setting(details.KEY_SETTING, lambda: os.urandom(details.KEY_BYTES))


def _cells(each: Credential, now: float) -> tuple[str, ...]:
    holds = "yes" if each.holds(now) else "revoked" if each.ended_at else "expired"
    age, expires = output.ago(each.made_at, now), output.moment(each.expires_at)
    return (str(each.id), each.name, each.right, age, expires, holds)


def _all(kind: str, path: Path) -> list[Credential]:
    views = Views(path)
    found = [each for each in views.credentials() if each.kind == kind]
    views.close()
    return found


def _holding(kind: str, path: Path) -> list[Credential]:
    now = time.time()
    return [each for each in _all(kind, path) if each.holds(now)]


def _written(path: Path, kind: str, target: str, alone: Callable[[Ledger], Any]) -> None:
    """Let the server write, or do it `alone` when none runs. Raises `Unavailable` if the server does not do it in time."""

    def write(ledger: Ledger) -> str:
        alone(ledger)
        return "done"

    outcome = via_writer(path, kind, target, write, PATIENCE)
    if outcome != "done":
        raise Unavailable(f"The server could not carry out the request `{kind}`; it says: {outcome}.")
