"""The man pages: one for each command, up to date, and without a complaint of `man` itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from closeout.cli.main import SECTIONS
from docs import man_pages
from tests.acceptance.cli_process import ROOT

PAGES = ROOT / "docs/man"


def test_every_command_has_its_page() -> None:
    """`docs/generate.py` writes them; a command that goes takes its page with it."""
    names = [name for section in SECTIONS.values() for name in section]
    wanted = {"closeout.1", *(f"closeout-{name}.1" for name in names)}
    assert {page.name for page in PAGES.iterdir()} == wanted
    assert {page.name: page.read_text("utf-8") for page in PAGES.iterdir()} == man_pages.pages()


@pytest.mark.skipif(
    shutil.which("man") is None and os.environ.get("CI") != "true",
    reason="no man on the PATH: `make shells` installs it",
)
@pytest.mark.parametrize("page", sorted(PAGES.iterdir()), ids=lambda page: page.stem)
def test_man_shows_a_page_without_a_warning(page: Path) -> None:
    """Each page has its name, how to call it and what its exit codes mean; nothing is broken by a hyphen."""
    shown = subprocess.run(
        ["man", "--warnings", "-l", str(page)],
        env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-c"},
        capture_output=True,
        text=True,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    text = shown.stdout
    assert page.stem in text
    assert "SYNOPSIS" in text
    assert "refused by a guard, or not confirmed" in text
    assert "‐\n" not in text
