"""Temporary files in memory: the tests sync small files thousands of times, and no test needs a file after it.

They hold some hundred megabytes at a time. A folder that TMPDIR names is always used; without one, the system's
memory is, where there is room.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

MEMORY = Path("/dev/shm")
"""Linux's file system in memory. macOS has none; a container's has 64 MB or starts no program (`noexec`)."""
ROOM = 2_000_000_000
"""Bytes that must be free."""


def use_memory() -> None:
    """Have this process, and those it starts, make temporary files in memory if there is room."""
    if in_memory(os.environ, MEMORY, ROOM):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # ask again


def in_memory(environment: Mapping[str, str], folder: Path, room: int) -> bool:
    """Whether temporary files belong into a folder: nobody named another, and it has room and may start scripts."""
    if any(environment.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return False
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return False
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize >= room and not system.f_flag & os.ST_NOEXEC
