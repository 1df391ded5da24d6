"""The real Chromium that tests of pages and pictures need, found in one place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
"""Without the program around the pages, which nobody sees here, a page takes a third less of a processor."""
MISSING = "no chromium on the PATH: `make browser` installs it"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-software-rasterizer",
    "--renderer-process-limit=1",
    "--process-per-site",
    "--disable-site-isolation-trials",  # a process for each new site costs more than its page
    "--disable-extensions",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IN_CHROMIUM = (
    pytest.mark.browser,
    # `make test` asks a newcomer for python3 and make only. The gate installs it and sets CI, under which nothing is skipped.
    pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason=MISSING),
)
"""The marks of a test that needs it: as `pytestmark` of a module."""

Test = TypeVar("Test", bound=Callable[..., object])


def in_chromium(test: Test) -> Test:
    """Mark one test that needs it."""
    for mark in IN_CHROMIUM:
        test = mark(test)
    return test


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it, without a window, for as long as the block lasts."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, MISSING
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        started.close()
