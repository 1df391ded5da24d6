"""What a process remembers of an execution, so that a poll of hours says a thing once."""

from __future__ import annotations

from closeout.run.once_log import OnceLog


def test_a_line_is_new_once_for_each_execution() -> None:
    """And again after it is forgotten."""
    log = OnceLog()
    assert [log.note("a", "x"), log.note("a", "x"), log.note("b", "x"), log.note("a", "y")] == [
        True,
        False,
        True,
        True,
    ]
    log.forget("a")
    assert [log.note("a", "x"), log.note("b", "x")] == [True, False]


def test_a_hold_is_told_when_its_reason_changes_and_ends_when_it_is_cleared() -> None:
    """The same reason is worth a line again after the call went on."""
    log = OnceLog()
    assert log.held_reason("a") is None
    assert [log.note_hold("a", "paused"), log.note_hold("a", "paused"), log.note_hold("a", "gone")] == [
        True,
        False,
        True,
    ]
    assert log.held_reason("a") == "gone"
    log.clear_hold("a")
    assert log.held_reason("a") is None
    assert log.note_hold("a", "gone")
    log.forget("a")
    assert log.held_reason("a") is None


def test_the_first_failure_of_a_call_counts_until_the_execution_is_forgotten() -> None:
    """Each call has its own."""
    log = OnceLog()
    assert [
        log.note_failure("a", "x", 1.0),
        log.note_failure("a", "x", 5.0),
        log.note_failure("a", "y", 6.0),
    ] == [1.0, 1.0, 6.0]
    log.forget("a")
    assert log.note_failure("a", "x", 9.0) == 9.0
