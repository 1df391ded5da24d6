"""What a user brings along: a function of their own that a step calls, bundled with the worker."""

from typing import Any


def forget(context: Any, number: str) -> dict[str, str]:
    """Take a preview out of the shop's search index; number 18 is one that the index does not let go."""
    if int(number) == 18:
        raise RuntimeError(f"the search index refused to forget preview-{number}")
    context.log(f"the search index has forgotten preview-{number}")
    return {"forgotten": f"preview-{number}"}
