"""What a rerun or a replay would do: shown before the question, and never the reason that nothing is asked.

The plan needs the configuration and the account. Where the command line has neither, it says why the plan
cannot be shown; the server, or the stack's worker, makes its own plan in any case, and its guards hold it.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from closeout.cli import output, plan
from closeout.cli.ledger_option import Today
from closeout.core.errors import CloseoutError


def show(today: Today, event: str, body: bytes, *, only: str | None = None) -> None:
    """Print the plan that today's configuration makes for this event (of the automation `only`)."""
    from closeout.core import payload
    from closeout.wiring import preview

    try:
        planner = preview.planner(today.load(), code_here=today.code_here)
        rows = planner.plan(event, payload.decode(body), only=only)
    except CloseoutError as error:
        output.note(f"The plan cannot be shown here: {error.message}")
        return
    if rows:
        # Part of the question, so it stays apart from what a program reads.
        with redirect_stdout(sys.stderr):
            plan.show(rows)
    else:
        output.note("Nothing: the current configuration does not match this event.")
