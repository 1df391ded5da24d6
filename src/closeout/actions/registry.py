"""The registry: which actions a step's `uses` can name, in order, each once.

It is written out by hand so that what can act on an account is seen in one place, and nothing that happens to be
importable becomes an action by itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from closeout.actions.spec import Action
from closeout.core.errors import UsageError


class Registry(Mapping[str, Action]):
    """Actions by their `uses`, in the order given. Raises `ValueError` for two of one name."""

    def __init__(self, actions: Iterable[Action]) -> None:
        self._actions: dict[str, Action] = {}
        for action in actions:
            if action.uses in self._actions:
                raise ValueError(f"two actions are named {action.uses!r}")
            self._actions[action.uses] = action

    def __getitem__(self, uses: str) -> Action:
        """Return an action. Raises `UnknownAction`, with the near names, when there is none."""
        try:
            return self._actions[uses]
        except KeyError:
            raise UnknownAction(uses, self._actions) from None

    def __contains__(self, uses: object) -> bool:
        return uses in self._actions

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)


class UnknownAction(UsageError, KeyError):
    """No action has this name. A `KeyError` too, so that a `Mapping`'s own methods work."""

    def __init__(self, uses: str, known: Iterable[str]) -> None:
        names = list(known)
        close = difflib.get_close_matches(uses, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
        super().__init__(f"there is no action {uses!r}; {hint}")

    def __str__(self) -> str:
        return self.message


@lru_cache(maxsize=1)
def builtin() -> Registry:
    """Return the actions that come with closeout."""
    # Imported here: `closeout runs list` and the receiver know automations without their actions' code.
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
