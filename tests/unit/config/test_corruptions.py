"""One mistake at each place of a file that uses every key: found there, with its code, its sentence and its fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.corruptions import KEPT, KINDS, said
from tests.unit.config.test_load import EVERYTHING


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_is_found_where_it_is(tmp_path: Path, kind: str) -> None:
    """No place takes another type silently, no mistake is told at another one, and a near key is named."""
    kept = [line for line in KEPT.read_text("utf-8").splitlines() if line.startswith(f"{kind} at ")]
    assert said(EVERYTHING, kind, tmp_path) == kept
