"""What a log would show of an error: its text and those of the errors it is chained to."""

from __future__ import annotations


def shown(error: BaseException | None) -> str:
    """Return every message and attribute along the chain, as a traceback would print it."""
    parts: list[str] = []
    while error is not None:
        parts += [repr(error), str(error), repr(vars(error))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(parts)
