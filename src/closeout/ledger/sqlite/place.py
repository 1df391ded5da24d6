"""What the machine says of the place where a ledger is: its file system, its free space, and who may write it.

It looks at names only: to open and close the file beside SQLite would drop SQLite's locks (see `lock`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of file system that a path is on (`ext4`, `nfs4`); None where there is no list of mounts (macOS).

    Fields of a line as in proc(5): the fifth is the mount point, and behind a single `-` comes the kind.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(path)
    longest, kind = -1, None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _plain(fields.split(" ")[4])
        under = place == point or place.startswith(point.rstrip("/") + "/")
        if under and len(point) >= longest:  # of two mounts on one point the later one counts
            longest, kind = len(point), rest.split(" ")[0]
    return kind


def _plain(text: str) -> str:
    r"""Return a mount point without its escapes: a blank is `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)


def free(path: Path) -> int:
    """Return the bytes that this user may still write beside a path. Raises `OSError`."""
    status = os.statvfs(path.parent)
    return status.f_bavail * status.f_frsize


def unwritable(path: Path) -> str | None:
    """Return the file or folder of a ledger that this user may not write, None if all may be written."""
    beside = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
    needed = [path.parent, *(file for file in beside if file.exists())]
    return next((str(place) for place in needed if not os.access(place, os.W_OK)), None)
