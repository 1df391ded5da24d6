"""A TCP server whose every connection behaves as a test says."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable


class Server:
    """Accepts connections; on each it does what `plan` says for its number, counted from 0."""

    def __init__(self, plan: Callable[[int, socket.socket], None]) -> None:
        self._plan = plan
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for number in itertools.count():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._plan, args=(number, connection), daemon=True).start()

    def close(self) -> None:
        """Stop, and close what is open."""
        for one in (self._listening, *self.connections):
            one.close()
