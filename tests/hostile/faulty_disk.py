"""closeout on a disk that fails when told to: `HOSTILE_FAULT=FILE python -m tests.hostile.faulty_disk serve …`.

While FILE exists, syncing a write-ahead log fails as it does when the disk answers EIO. SQLite's own seam for that is
a VFS (https://www.sqlite.org/vfs.html): the default one is left in place, and of each log that it opens the method
`xSync` is replaced. Through ctypes, so that no compiler is needed, and in this process, so that the product has no hook.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import sys
from typing import Any

IS_LOG = 0x0008_0000
"""SQLITE_OPEN_WAL."""
FAILED = 10 | 4 << 8
"""SQLITE_IOERR_FSYNC."""
WORDS = 19
"""Of `sqlite3_io_methods`, version 3: its number and 18 functions; xSync is the fifth of these."""
SYNC = 5

_Open = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
"""The name is handed on as the pointer that it is: SQLite keeps it, and reads what stands behind it."""
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
    )


class FaultyLogs:
    """The replaced methods. It must live as long as SQLite is used."""

    def __init__(self, flag: str) -> None:
        self._flag = flag
        self._methods: dict[int, Any] = {}
        self._kept: list[Any] = []
        library: Any = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        vfs = library.sqlite3_vfs_find(None).contents
        self._open = _Open(vfs.open)
        self._mine = _Open(self._opened)
        vfs.open = ctypes.cast(self._mine, ctypes.c_void_p).value

    def _opened(self, vfs: Any, name: Any, file: Any, flags: int, out: Any) -> int:
        """Open as the default does; then replace a log's methods by a copy whose `xSync` asks for the flag."""
        code: int = self._open(vfs, name, file, flags, out)
        if code == 0 and flags & IS_LOG:
            methods = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
            methods[0] = self._replaced(methods[0])
        return code

    def _replaced(self, original: int) -> int:
        if original not in self._methods:
            copy = (ctypes.c_void_p * WORDS)()
            ctypes.memmove(copy, original, ctypes.sizeof(copy))
            sync = _Sync(copy[SYNC] or 0)
            mine = _Sync(lambda file, flags: FAILED if os.path.exists(self._flag) else sync(file, flags))  # noqa: PTH110
            copy[SYNC] = ctypes.cast(mine, ctypes.c_void_p).value
            self._methods[original] = copy
            self._kept += [sync, mine]
        return ctypes.addressof(self._methods[original])


def main() -> int:
    """Put the fault in place, then be the command line."""
    faulty = FaultyLogs(os.environ["HOSTILE_FAULT"])
    from closeout.cli.main import main as closeout

    code = closeout()
    del faulty
    return code


if __name__ == "__main__":
    sys.exit(main())
