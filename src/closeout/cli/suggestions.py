"""What the Tab key offers: ids of runs, deliveries, sessions and tokens, automations and actions, read from the ledger and the file.

Each function is a `shell_complete` callback of click. A completion never fails and asks no network: where there is
nothing to read, it offers nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from closeout.cli import options
from closeout.core.errors import CloseoutError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from closeout.ledger.sqlite import Views

T = TypeVar("T")
NEWEST = 100


def runs(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the newest runs, each with its state or verdict."""
    found = _read(ctx, lambda views: views.runs(NEWEST))
    pairs = [(run.id, f"{run.verdict or run.state}, {run.automation} on {run.about}") for run in found]
    return _items(pairs, incomplete)


def deliveries(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the newest deliveries, each with its event."""
    found = _read(ctx, lambda views: views.deliveries(NEWEST))
    pairs = [(str(one.id), f"{one.event} {one.action or ''} {one.repository or ''}") for one in found]
    return _items(pairs, incomplete)


def _credentials(
    kind: str, ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the valid sessions or tokens, each with its name."""
    now = time.time()
    found = [
        one for one in _read(ctx, lambda views: views.credentials()) if one.kind == kind and one.holds(now)
    ]
    return _items([(str(one.id), f"{one.name}, may {one.right}") for one in found], incomplete)


sessions = partial(_credentials, "session")
tokens = partial(_credentials, "token")


def automations(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the automations of the configuration, and those that have run; no Python module is imported."""
    from closeout.actions.registry import builtin
    from closeout.config.load import load

    names: set[str] = set()
    with suppress(CloseoutError):
        names |= {one.name for one in load(_config(ctx), builtin(), modules=False).automations}
    names |= {run.automation for run in _read(ctx, lambda views: views.runs(NEWEST))}
    return _items([(name, "") for name in sorted(names)], incomplete)


def actions(_ctx: click.Context, _parameter: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """Offer the actions."""
    from closeout.actions.registry import builtin

    return _items([(one.uses, one.summary) for one in builtin().values()], incomplete)


def _items(found: list[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(value, help=" ".join(about.split()) or None)
        for value, about in found
        if value.startswith(incomplete)
    ]


def _read(ctx: click.Context, read: Callable[[Views], Sequence[T]]) -> Sequence[T]:
    """Return what a ledger's file has; nothing if no file can be read, or with --stack, which would ask the network."""
    from closeout.ledger.sqlite import Views as FileViews

    given = ctx.params.get("db") or os.environ.get("CLOSEOUT_DB")
    path = options.ledger_path(Path(given) if given else None, _config(ctx))
    if not path.exists() or ctx.params.get("stack_name"):
        return ()
    views = FileViews(path)
    try:
        return read(views)
    except CloseoutError:
        return ()
    finally:
        views.close()


def _config(ctx: click.Context) -> Path:
    return Path(ctx.params.get("config") or os.environ.get("CLOSEOUT_CONFIG") or options.DEFAULT_CONFIG)
