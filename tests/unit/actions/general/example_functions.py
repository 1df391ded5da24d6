"""Functions that the tests of the `python` action call."""

from __future__ import annotations

import threading
from typing import Any

go = threading.Event()


def good(context: Any, number: int, **rest: Any) -> Any:
    """Return its arguments."""
    context.log(f"dropping {number}\nsecond line")
    return {
        "number": number,
        "rest": rest,
        "attempt": context.attempt,
        "run": context.run_id,
        "pr": context.event["n"],
    }


def raising(context: Any) -> None:
    """Raise."""
    raise KeyError("database")


def leaving(context: Any) -> None:
    """Try to end the server."""
    raise SystemExit(3)


def not_json(context: Any) -> Any:
    """Return what JSON cannot hold."""
    return {1, 2}


def infinite(context: Any) -> Any:
    """Return a number that JSON does not have."""
    return float("inf")


def huge(context: Any) -> Any:
    """Return far too much."""
    return "x" * 200_000


def slow(context: Any) -> None:
    """Wait until released, then try to log."""
    go.wait(10)
    context.log("too late")


class Group:
    """A class with a function in it."""

    @staticmethod
    def inner(context: Any) -> str:
        """Answer."""
        return "inner"


not_a_function = 3
