"""The registry: the actions that a step's `uses` can name, in order, each once.

It is a list written by hand, so that one place shows everything that can act on an account, and a module does not
become an action just because it can be imported.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from typing import NoReturn

from closeout.actions.spec import Action
from closeout.core.errors import UsageError


class Registry(dict[str, Action]):
    """Actions by their `uses`, in the order given. Raises `ValueError` for two with the same name."""

    def __init__(self, actions: Iterable[Action]) -> None:
        super().__init__()
        for action in actions:
            if action.uses in self:
                raise ValueError(f"two actions are named {action.uses!r}")
            self[action.uses] = action

    def __missing__(self, uses: str) -> NoReturn:
        """Raise `UsageError` with similar names."""
        close = difflib.get_close_matches(uses, self, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(self)}"
        raise UsageError(f"there is no action {uses!r}; {hint}")


@lru_cache(maxsize=1)
def builtin() -> Registry:
    """Return the actions that come with closeout."""
    # Imported here, because `closeout runs list` and the receiver need no code of actions.
    from closeout.actions.aws import (  # noqa: PLC0415
        cloudformation_delete_stack,
        codebuild_start_build,
        s3_delete_objects,
    )
    from closeout.actions.general import http_request, python, shell  # noqa: PLC0415
    from closeout.actions.github import comment, dispatch_workflow  # noqa: PLC0415

    return Registry(
        module.ACTION
        for module in (
            cloudformation_delete_stack,
            s3_delete_objects,
            codebuild_start_build,
            dispatch_workflow,
            comment,
            http_request,
            shell,
            python,
        )
    )
