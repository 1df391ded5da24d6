"""Options that several commands share: the same name, default, variable and help everywhere.

A path is resolved here once: the ledger is next to the configuration unless `--db` names another one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from closeout.core.errors import Unavailable, UsageError
from closeout.core.units import parse_duration

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_CONFIG = "closeout.yaml"
DEFAULT_DB = "closeout.db"


config = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar="CLOSEOUT_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The configuration.",
)
config_argument = click.argument(
    "path",
    metavar="[CONFIG]",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar="CLOSEOUT_CONFIG",
)
db = click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CLOSEOUT_DB",
    show_envvar=True,
    help=f"The ledger.  [default: {DEFAULT_DB} next to the configuration]",
)
stack = click.option(
    "--stack", "stack_name", required=True, metavar="NAME", help="The deployed CloudFormation stack."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
yes = click.option("--yes", "-y", is_flag=True, help="Skip the preview and the confirmation.")
event = click.option("--event", metavar="E", help="The event's name, as in X-GitHub-Event.")
payload = click.option("--payload", metavar="P", help="A file with the payload's JSON, or - for stdin.")
pull_request = click.option(
    "--pull-request",
    metavar="OWNER/REPO#N",
    help="Read this pull request from GitHub (its URL will do), and assume that it closes.",
)
_filters = (
    click.option("--repository", metavar="OWNER/NAME", help="Only those of this repository."),
    click.option(
        "--pull-request",
        metavar="[OWNER/REPO#]N",
        help="Only those of the pull request or issue of this number.",
    ),
    click.option("--since", metavar="TIME", help="Only those since then."),
    click.option("--until", metavar="TIME", help="Only those before then."),
)
limit = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
reason = click.option("--reason", metavar="TEXT", help="The reason; the ledger keeps it with your name.")


def filters(function: F) -> F:
    """Add the options that narrow a list of runs or of deliveries."""
    for option in reversed(_filters):
        function = option(function)
    return function


def given(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return the options of a list that were given, by their names on the command line."""
    return {name.replace("_", "-"): value for name, value in values.items() if value is not None}


def ledger_path(given: Path | None, config_path: Path) -> Path:
    """Return the ledger's path: as given, or next to the configuration."""
    return given or config_path.parent / DEFAULT_DB


def existing_ledger(given: Path | None, config_path: Path) -> Path:
    """Return the ledger's path, or say that there is none. A command that reads must not create one."""
    path = ledger_path(given, config_path)
    if not path.exists():
        raise Unavailable(
            f"There is no ledger at {path}. `closeout serve` creates it at its first start; name another one with --db or "
            "CLOSEOUT_DB."
        )
    return path


def check_folder(ledger: Path) -> None:
    """Raise `Unavailable` if there is no folder for a ledger that may be new."""
    if not ledger.parent.is_dir():
        raise Unavailable(
            f"The folder {ledger.parent} of the ledger does not exist; create it, or change --db."
        )


def read_payload(source: str) -> bytes:
    """Read the payload's bytes from a path, or from standard input for `-`."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read the payload {source}: {error.strerror}.") from None


def age(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """Read a duration (`90d`, `12h`, `1h30m`, `45s`) as seconds: a click callback."""
    seconds = parse_duration(value)
    if seconds is None:
        raise click.BadParameter(f"{value!r} is not a length of time; write 90d, 12h, 30m or 45s.")
    return seconds


def optional_age(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Read a duration that may be left out: a click callback."""
    return None if value is None else age(context, parameter, value)
