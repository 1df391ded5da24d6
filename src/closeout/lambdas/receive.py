"""The receiver on AWS: the Lambda function's entry. Its answers are `answering`'s.

What it needs of AWS first it connects to while the rest is imported: a new environment is waited for.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from closeout.lambdas.answering import Door, Event


def _start() -> Door:
    """Make the environment's receiver while it starts: Lambda gives it more of a processor then than a request gets."""
    from closeout.lambdas.wire import Aws  # noqa: PLC0415

    aws = Aws()
    aws.connect_ahead("secretsmanager", "dynamodb", "lambda")
    from closeout.lambdas.answering import Door  # noqa: PLC0415 - after what it need not wait for

    return Door(os.environ, aws)


def _undisturbed() -> Door:
    """Start, with the interpreter set for it, and leave it as it was."""
    turn = sys.getswitchinterval()
    gc.disable()  # until all is there: nothing that is imported is garbage, and to look for some takes 1 ms
    sys.setswitchinterval(0.0002)  # or each step of a connection waits 5 ms for the imports to pause
    try:
        made = _start()
        gc.freeze()
        return made
    finally:
        sys.setswitchinterval(turn)
        gc.enable()


_DOOR = _undisturbed() if "CLOSEOUT_TABLE" in os.environ else None


def handler(event: Event, context: object) -> dict[str, Any]:
    """Answer one request. Lambda sets the variables that the start needs; without them there is no receiver."""
    del context
    return (_DOOR or _start()).answer(event)
