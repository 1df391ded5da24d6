"""What one run leaves in a worker's environment must not reach the next: Lambda freezes environments and uses them again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading, time
from closeout.actions.general import python
from closeout.lambdas import run

lasting = threading.Thread(target=time.sleep, args=(float(sys.argv[1]),), daemon=True)
python._running["run-1/step"] = lasting
lasting.start()
time.sleep(0.5)
try:
    run.handler({}, None)
except Exception:
    print("went on")
"""


@pytest.mark.parametrize(("seconds", "code", "said"), [("60", 1, ""), ("0", 0, "went on\n")])
def test_an_environment_in_which_a_call_is_still_at_work_is_left(seconds: str, code: int, said: str) -> None:
    """A function over its time cannot be stopped, and its run's key may be another's by now. Its process can."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, seconds], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (code, said)
