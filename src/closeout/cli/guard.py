"""`closeout guard`: say whether a deploy of a pull request's preview may begin.

For a deploy that runs where the ledger is. A workflow on another machine asks the server.
"""

from __future__ import annotations

from pathlib import Path

import click

from closeout.cli import event_source, exits, options, output
from closeout.cli.commands import Command

CODES = {"open": exits.OK, "closed": exits.REFUSED, "unknown": exits.UNAVAILABLE}


@click.command(
    "guard",
    cls=Command,
    short_help="Say whether a pull request is open, before or after a deploy.",
    examples=(
        "closeout guard --pull-request acme/shop#17 && ./deploy.sh",
        "closeout guard --pull-request https://github.com/acme/shop/pull/17 --json",
    ),
)
@options.config
@options.db
@click.option(
    "--pull-request",
    required=True,
    metavar="OWNER/REPO#N",
    help="The pull request whose preview you deploy; its URL will do.",
)
@options.as_json
def guard(config: Path, db: Path | None, pull_request: str, as_json: bool) -> int:
    """Say whether a pull request is open and no teardown of it is on its way, in one sentence.

    Exit code 0 if so, 3 if it is closed or a teardown is on its way, 4 if GitHub or the ledger does not say for certain.
    With --json: {"verdict": "open|closed|unknown", "reason"}.
    """
    from closeout.actions.registry import builtin
    from closeout.config.load import load
    from closeout.wiring.guard import ask

    repository, number = event_source.read_name(pull_request)
    loaded = load(config, builtin(), modules=False)
    answer = ask(loaded, lambda: options.existing_ledger(db, config), repository, number)
    if as_json:
        output.print_json({"verdict": answer.verdict, "reason": answer.sentence})
    else:
        output.say(output.clean(answer.sentence))
    return CODES[answer.verdict]
