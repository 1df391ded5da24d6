"""The receiver on AWS: the Lambda function's entry. Its answers are `answering`'s.

What it needs of AWS first it connects to while the rest is imported: a new environment is waited for.
"""

from __future__ import annotations

import gc
import os
import sys

gc.disable()  # until all is there: nothing that is imported is garbage, and to look for some takes 1 ms
_TURN = sys.getswitchinterval()
sys.setswitchinterval(0.0002)  # or each step of a connection waits 5 ms for the imports to pause

from closeout.core.lean import TYPE_CHECKING  # noqa: E402
from closeout.lambdas.wire import Aws  # noqa: E402

_AWS = Aws() if "CLOSEOUT_TABLE" in os.environ else None
if _AWS is not None:
    _AWS.connect_ahead("secretsmanager", "dynamodb", "lambda")

from closeout.lambdas.answering import Door  # noqa: E402 - after what it need not wait for

if TYPE_CHECKING:
    from typing import Any

    from closeout.lambdas.answering import Event

_DOOR = None if _AWS is None else Door(os.environ, _AWS)
"""Made while the environment starts: Lambda gives it more of a processor then than a request gets."""
sys.setswitchinterval(_TURN)
gc.freeze()
gc.enable()


def handler(event: Event, context: object) -> dict[str, Any]:
    """Answer one request."""
    del context
    return (_DOOR or Door()).answer(event)
