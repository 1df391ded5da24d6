"""The how-to about testing shows tests that pass as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/how-to/test-your-automation.md"


def test_the_tests_that_the_page_shows_pass(tmp_path: Path) -> None:
    """Every file of the page is written where its first line says, and pytest runs what a reader would copy."""
    shown = [block for block in blocks() if block.page == PAGE]
    for block in shown:
        named = re.match(r"# ([\w.]+)\n", block.text)
        assert named, block.place
        (tmp_path / named[1]).write_text(block.text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    tests = sum(block.text.count("\ndef test_") for block in shown)
    assert tests >= 4
    assert f"{tests} passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_first_example_has_five_lines() -> None:
    """A first test is an import and a function of four lines."""
    example = next(block for block in blocks() if block.page == PAGE and "test_closeout.py" in block.text)
    first = example.text.split("\n\n\n")[0:2]
    lines = [line for line in "\n".join(first).splitlines() if line and not line.startswith("#")]
    assert len(lines) == 5
