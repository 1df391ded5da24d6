"""Resources that nothing may touch: built-in names, and the patterns and tags of the file's `protect`.

Names are compared as AWS does, with case, in every form in which a change shows them, because protecting too much is
safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

from closeout.core.plan import Change

BUILT_IN: tuple[str, ...] = (
    "CDKToolkit",
    "cdk-*-assets-*",
    "StackSet-*",
    "AWSControlTower*",
    "aws-controltower-*",
    "closed-pr-event-stack*",
    "*-ledgerbodies4ea8068d-*",
    "closeout",
    "closeout-*",
)
"""CDK's bootstrap, stack sets and Control Tower (managed from another account), and closeout's own stacks.

A stack may have any name. CloudFormation names each one's bucket after the template, so the bucket's name contains this.
"""
TAG = "closeout"
"""The tag of every resource of a closeout stack; its value is the stack's name."""


def protected_by(
    change: Change, names: Iterable[str], tags: Mapping[str, str] = MappingProxyType({})
) -> str | None:
    """Return what protects the change's resource, as a phrase, or None.

    `names` are patterns with `*`, and so are both the keys and the values of `tags`. A change that keeps its resource
    needs no protection.
    """
    if change.verb == "keep":
        return None
    shown = tuple(_names(change))
    for source, patterns in (("the built-in pattern", BUILT_IN), ("`protect` pattern", tuple(names))):
        for pattern in patterns:
            if any(fnmatchcase(name, pattern) for name in shown):
                return f"{source} {pattern!r}"
    if TAG in change.tags:
        return f"the built-in tag {TAG}={change.tags[TAG]}"
    for key, pattern in tags.items():
        for name, value in change.tags.items():
            if fnmatchcase(name, key) and fnmatchcase(value, pattern):
                return f"tag {name}={value}"
    return None


def _names(change: Change) -> Iterator[str]:
    """Yield the resource as shown, its name (else its last word), and the parts of an ARN or a path.

    If it has several lines, as a script does, also yield the first line and its last word. Other words do not count, because a
    resource may be a sentence or a command.
    """
    yield change.resource
    first = change.resource.strip().partition("\n")[0].rstrip()
    yield first
    name = change.name or (first.split() or [""])[-1]
    yield name
    yield from re.split(r"[:/]+", name)
