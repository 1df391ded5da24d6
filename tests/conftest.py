"""What holds for every test: a signal that whoever started the tests ignores is not ignored by what they start."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Take Ctrl-C as a terminal gives it: a shell starts its background jobs with SIGINT ignored, and so their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
