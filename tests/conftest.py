"""What holds for every test, whichever machine it runs on.

A signal that whoever started the tests ignores is not ignored by what they start, no property fails because the
machine had other work to do, and temporary files are in memory where there is room. Tests that wait for processes run
beside tests that calculate.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import zlib

import pytest
from hypothesis import HealthCheck, settings, strategies

from tests.service_models import keep_models
from tests.temporary import use_memory

# Without a time for an example, and without one for the first: a fresh clone makes its table of characters in it. A
# fixture is shared by the examples of a test; those that use one make what must be new for each by themselves.
settings.register_profile(
    "steady",
    settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("steady")
keep_models()
use_memory()
gc.disable()  # what is imported and collected stays: to look for garbage among it is in vain


def pytest_configure() -> None:
    """Take Ctrl-C as a terminal gives it: a shell starts its background jobs with SIGINT ignored, and so their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Make the emulator quick if a test needs it, and look for garbage from here on among what the tests make.

    The collected tests are half a million objects. What tests make is freed at once, but for little: look seldom.
    """
    if "moto.core" in sys.modules:
        from tests.quick_moto import quicken

        quicken()
    # In a fresh clone Hypothesis makes a table for its first text, and fails for what is collected meanwhile and was not closed.
    strategies.text().validate()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the files for several workers: in the order of their names all that wait come last, and the processors wait too."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: zlib.crc32(item.nodeid.partition("::")[0].encode()))
