"""Where the tests' temporary files go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.temporary import in_memory


def test_a_folder_with_room_is_taken(tmp_path: Path) -> None:
    """A folder that is there and has room is used when nobody named another."""
    assert in_memory({}, tmp_path, 1)


@pytest.mark.parametrize("name", ["TMPDIR", "TEMP", "TMP"])
def test_the_folder_that_the_user_named_is_used(tmp_path: Path, name: str) -> None:
    """A variable that Python reads for temporary files wins."""
    assert not in_memory({name: "/somewhere"}, tmp_path, 1)


def test_a_folder_without_room_or_that_is_not_there_is_left_alone(tmp_path: Path) -> None:
    """Small containers and other systems use the default."""
    assert not in_memory({}, tmp_path, 2**62)
    assert not in_memory({}, tmp_path / "absent", 1)
