"""`closeout guard`: say whether a deploy of a pull request's preview may begin.

For a deploy that runs where the ledger is, or with rights on a stack. A workflow on another machine asks over HTTP.
"""

from __future__ import annotations

import click

from closeout.actions.registry import builtin
from closeout.cli import exits, ledger_option, options, output
from closeout.cli.commands import command
from closeout.cli.event_source import read_name
from closeout.cli.ledger_option import Where
from closeout.config.load import load
from closeout.wiring.guard import ask

CODES = {"open": exits.OK, "closed": exits.REFUSED, "unknown": exits.UNAVAILABLE}


@command(
    "guard",
    "closeout guard --pull-request acme/shop#17 && ./deploy.sh",
    "closeout guard --stack closed-pr-event-stack --pull-request acme/shop#17",
    "closeout guard --pull-request https://github.com/acme/shop/pull/17 --json",
)
@ledger_option.ledger
@click.option(
    "--pull-request",
    required=True,
    metavar="OWNER/REPO#N",
    help="The pull request whose preview you deploy; its URL will do.",
)
@options.as_json
def guard(where: Where, pull_request: str, as_json: bool) -> int:
    """Say whether a pull request is open and no teardown of it is on its way, in one sentence.

    Exit code 0 if so, 3 if it is closed or a teardown is on its way, 4 if GitHub or the ledger does not say for certain.
    With --stack it asks with your rights: the stack's table, and its GitHub token, whose `secretReaders` must name you.
    With --json: {"verdict": "open|closed|unknown", "reason"}.
    """
    repository, number = read_name(pull_request)
    loaded = where.today.load() if where.on_stack else load(where.config, builtin(), modules=False)
    answer = ask(loaded, lambda: where.views, repository, number)
    if as_json:
        output.print_json({"verdict": answer.verdict, "reason": answer.sentence})
    else:
        output.say(output.clean(answer.sentence))
    return CODES[answer.verdict]
