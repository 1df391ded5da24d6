"""Call a run function so that whatever it does ends in an `Ending`: the same on every engine.

A defect of the run function ends its run with a sentence, and never the thread or the invocation it ran in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from closeout.core.runs import VERDICTS
from closeout.engine.durable import Abandoned, ReplayDurable, Suspended
from closeout.ports import Ending, Execution, Operation, RunFunction


class Finished(NamedTuple):
    """What `on_finish` is told about an execution that ended here."""

    execution: Execution
    ending: Ending
    finished_at: float
    operations: tuple[Operation, ...]


def call(
    run: RunFunction,
    durable: ReplayDurable,
    execution: Execution,
    *,
    redact: Callable[[str], str],
    report: Callable[[str], None],
) -> Ending:
    """Call the run function. What this gives counts only if the run was not suspended. Raises `Abandoned`."""
    try:
        ending = run(durable, execution)
    except Abandoned:
        raise
    except Suspended:
        return Ending("failure", "internal error: the run was unwound by somebody else than its engine")
    except BaseException as error:  # noqa: BLE001 - a defect ends its run, never the thread
        report(f"the run function failed: {execution.id}: {error!r}")
        return Ending(
            "failure", _storable(redact(f"internal error: {type(error).__name__}: {error}")[:1_000])
        )
    if not isinstance(ending, Ending) or ending.verdict not in VERDICTS:
        return Ending("failure", f"internal error: the run function gave {ending!r}"[:1_000])
    return ending._replace(summary=_storable(ending.summary))


def _storable(text: str) -> str:
    """Return a text that has a UTF-8 form, which somebody's exception need not have: no ledger takes another."""
    return text.encode("utf-8", "backslashreplace").decode()
