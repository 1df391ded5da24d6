"""Waiting for what a server answers to a command's request."""

from __future__ import annotations

from typing import cast

import pytest

from closeout.cli.requests import wait_for
from closeout.core.errors import Unavailable
from closeout.ports import Requests


class Stopping:
    """The requests of a server that stops; `last` is the outcome that it stores before it does."""

    def __init__(self, last: str | None) -> None:
        self.last = last
        self.stored: str | None = None

    def server_running(self) -> bool:
        """Return False: the server stops just before this read."""
        self.stored = self.last
        return False

    def outcome(self, _request: int) -> str | None:
        """Return what is stored by now."""
        return self.stored


def test_an_outcome_that_a_server_stores_before_it_stops_is_returned() -> None:
    """It was carried out, so the next server does not take the request."""
    assert wait_for(cast("Requests", Stopping("done")), 1, "token", 60.0) == "done"


def test_a_server_that_stops_without_an_outcome_leaves_the_request_to_the_next_one() -> None:
    """Then the command says so at once."""
    with pytest.raises(Unavailable, match="the next one takes the request"):
        wait_for(cast("Requests", Stopping(None)), 1, "token", 60.0)
