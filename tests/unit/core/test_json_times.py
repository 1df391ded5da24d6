"""Times as JSON shows them."""

from __future__ import annotations

from closeout.core.json_times import with_iso_times

AT = 1_773_480_413.0
TEXT = "2026-03-14T09:26:53.000Z"


def test_times_are_in_iso_8601_at_every_level() -> None:
    """In objects, nested objects and lists of objects; other texts and numbers stay unchanged."""
    shown = with_iso_times(
        {
            "since": AT,
            "until": None,
            "number": 17,
            "run": {"at": AT, "names": ("a", "b")},
            "steps": [{"at": AT}, "text"],
        }
    )
    assert shown == {
        "since": TEXT,
        "until": None,
        "number": 17,
        "run": {"at": TEXT, "names": ["a", "b"]},
        "steps": [{"at": TEXT}, "text"],
    }


def test_other_values_are_not_converted() -> None:
    """A tag may be named `at`, and a flag is not a number."""
    changes = [{"tags": {"at": 5}}]
    assert with_iso_times({"changes": changes, "left": {"at": 5}, "at": True}) == {
        "changes": changes,
        "left": {"at": 5},
        "at": True,
    }
