"""Background threads, which never keep their process alive.

A process may end while they work: everything important is in the ledger, and the next start continues from there. At exit
Python waits for every thread that is not a daemon, so a single forgotten one, blocked in a call, would keep a server running.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def background(name: str, target: Callable[..., Any], *args: Any) -> threading.Thread:
    """Return a daemon thread that runs `target(*args)` once it is started."""
    return threading.Thread(target=target, args=args, name=name, daemon=True)
