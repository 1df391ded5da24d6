"""Inspect the disk under a ledger: its file system, its free space, and whether this user may write it.

Only names are inspected, because opening and closing the file would drop SQLite's locks (see `lock`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of a path's file system (`ext4`, `nfs4`); None on systems without a list of mounts (macOS).

    Fields of a line as in proc(5): the fifth is the mount point, and the type follows a single `-`.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    real = os.path.realpath(path)
    longest, kind = -1, None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _plain(fields.split(" ")[4])
        under = real == point or real.startswith(point.rstrip("/") + "/")
        if under and len(point) >= longest:  # the later of two mounts on one point counts
            longest, kind = len(point), rest.split(" ")[0]
    return kind


def _plain(text: str) -> str:
    r"""Return a mount point without escapes: a blank is `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)


def free(path: Path) -> int:
    """Return the free bytes for this user on a path's file system. Raises `OSError`."""
    status = os.statvfs(path.parent)
    return status.f_bavail * status.f_frsize


def unwritable(path: Path) -> str | None:
    """Return the file or folder of a ledger that this user may not write; None if there is none."""
    files = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
    needed = [path.parent, *(file for file in files if file.exists())]
    return next((str(path) for path in needed if not os.access(path, os.W_OK)), None)
