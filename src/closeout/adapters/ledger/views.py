"""Reads of the ledger for people and programs."""

from __future__ import annotations

from pathlib import Path


class Views:
    """Reads from any process."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
