"""One mistake at each place of a file that uses every key: found there, with its code, message and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.corruptions import KEPT, KINDS, said
from tests.unit.config.test_load import EVERYTHING


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_is_found_in_its_place(tmp_path: Path, kind: str) -> None:
    """No place silently accepts another type, no mistake is reported elsewhere, and a similar key is suggested."""
    kept = [line for line in KEPT.read_text("utf-8").splitlines() if line.startswith(f"{kind} at ")]
    assert said(EVERYTHING, kind, tmp_path) == kept
