"""Threads in the background."""

from __future__ import annotations

from closeout.core.threads import background


def test_a_background_thread_does_not_delay_the_exit() -> None:
    """Python's exit waits for every thread that is not a daemon."""
    seen: list[str] = []
    thread = background("patrol", seen.extend, ["one", "two"])
    assert (thread.name, thread.daemon) == ("patrol", True)
    thread.start()
    thread.join(10)
    assert seen == ["one", "two"]
