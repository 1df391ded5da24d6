"""Secret references: where a secret is stored (`env:`, `file:`, `aws-secretsmanager:`), never the secret itself.

A value that is not a reference may be the secret itself, so it is never repeated: neither in a message, nor in
the line of the file that is shown with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from closeout.config.document import Mapping, Node, Scalar, Sequence
from closeout.config.values import ConfigNode
from closeout.core.secrets import REFERENCES

_FORMS = re.compile(
    r"(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}"
    r"|file:[^\x00-\x1f#]{1,1024}"
    r"|aws-secretsmanager:[A-Za-z0-9/_+=.@:-]{1,512}(?:\#[A-Za-z0-9_.-]{1,128})?)\Z"
)
_FIX = "write where it lives: env:NAME, file:PATH or aws-secretsmanager:NAME[#json-key]"


def is_reference(text: str) -> bool:
    """Return whether `text` is a secret reference."""
    return _FORMS.match(text) is not None


def environment_variables(references: Iterable[str]) -> tuple[str, ...]:
    """Return the environment variables that references name, sorted."""
    return tuple(sorted({text.removeprefix("env:") for text in references if text.startswith("env:")}))


def read_reference(at: ConfigNode) -> str | None:
    """Read one reference."""
    value = at.node.value if isinstance(at.node, Scalar) else None
    if isinstance(value, str) and is_reference(value):
        return value
    hide(at.node, at)
    if isinstance(value, str) and value.startswith(("aws-ssm:", "github-app:")):
        kind = value.partition(":")[0]
        at.error("reference-later", f"`{kind}:` references are not supported by this version yet", _FIX)
    elif isinstance(value, str) and value.startswith(REFERENCES):
        kind = value.partition(":")[0]
        at.error("bad-reference", f"what follows `{kind}:` is not a name that can be looked up", _FIX)
    else:
        message = "this is not a secret reference; never write a secret itself into this file"
        at.error("bad-reference", message, _FIX)
    return None


def hide(node: Node, at: ConfigNode) -> None:
    """Hide every value of `node` where lines of the file are shown."""
    if isinstance(node, Scalar):
        at.findings.hide(node.line, node.column)
    elif isinstance(node, Sequence):
        for item in node.items:
            hide(item, at)
    elif isinstance(node, Mapping):
        for _, value in node.entries:
            hide(value, at)
