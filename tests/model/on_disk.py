"""The model over SQLite: every new process opens the file that the one before it left."""

from __future__ import annotations

import tempfile
from pathlib import Path

from closeout.ledger.sqlite import Ledger, Views
from tests.model.machine import Closings
from tests.model.process import Process, Store


class ClosingsOnDisk(Closings):
    """The same histories; what is kept is in a file."""

    def make_store(self) -> Store:
        """Return an empty ledger in a folder of its own."""
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "closeout.db"
        return Store(Ledger(self._path, clock=self.clock).open(), Views(self._path, clock=self.clock))

    def start(self) -> Process:
        """Open the file anew, as a new process does."""
        self.store.ledger.close()
        self.store.ledger.open()
        return super().start()

    def teardown(self) -> None:
        """Close the file in the end."""
        try:
            super().teardown()
        finally:
            self.store.reader.close()
            self.store.ledger.close()
            self._folder.cleanup()
