"""Threads in the background."""

from __future__ import annotations

from closeout.core.threads import background


def test_a_thread_in_the_background_works_and_no_exit_waits_for_it() -> None:
    """Python's end waits for every thread that is not a daemon."""
    seen: list[str] = []
    thread = background("patrol", seen.extend, ["one", "two"])
    assert (thread.name, thread.daemon) == ("patrol", True)
    thread.start()
    thread.join(10)
    assert seen == ["one", "two"]
