"""`closeout guard`: say whether a deploy of a pull request's preview may begin.

For a deploy that runs where the ledger is, or with rights on a stack. A workflow on another machine asks over HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from closeout.actions.registry import builtin
from closeout.cli import exits, ledger_option, options, output
from closeout.cli.commands import command
from closeout.cli.event_source import read_name
from closeout.cli.ledger_option import SelectedLedger
from closeout.config.load import load
from closeout.run.guard import ask
from closeout.wiring.preview import github_of

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
def guard(selected: SelectedLedger, pull_request: str, as_json: bool) -> int:
    """Say whether a pull request is open and no teardown of it is on its way, in one sentence.

    Exit code 0 if so, 3 if it is closed or a teardown is on its way, 4 if GitHub or the ledger does not say for
    certain. With --stack it reads the stack's table and GitHub token with your rights; the stack's `secretReaders`
    must name you. With --json: {"verdict": "open|closed|unknown", "reason"}.
    """
    repository, number = read_name(pull_request)
    loaded = (
        selected.current_config.load()
        if selected.on_stack
        else load(selected.config, builtin(), modules=False)
    )

    def teardowns(name: str, of: int) -> Sequence[str]:
        return selected.views.teardowns(name, of)  # the ledger is opened only once GitHub says "open"

    answer = ask(github_of(loaded), teardowns, repository, number)
    if as_json:
        output.print_json({"verdict": answer.verdict, "reason": answer.sentence})
    else:
        output.say(output.clean(answer.sentence))
    return CODES[answer.verdict]
