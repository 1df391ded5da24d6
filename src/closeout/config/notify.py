"""The key `notify`, of the file and of an automation: which problems are reported, and to whom.

A target is a secret reference, because its URL contains a token or a password, or the ARN of an SNS topic, which contains
neither. A URL is known only when its secret is read, so `closeout doctor` and `closeout notify test` check its form.
"""

from __future__ import annotations

from closeout.config import keys
from closeout.config.document import Scalar
from closeout.config.references import hide, read_reference
from closeout.config.values import ConfigNode
from closeout.core.problems import EVENTS, Route, is_topic


def read_notify(at: ConfigNode | None) -> Route | None:
    """Read the section; None if there is none. Without `on`, it applies to every problem."""
    if at is None:
        return None
    known = keys.names("notify")
    section = at.section(known)
    if section is None:
        hide(at.node, at)
        return None
    if at.lacks("to", known):
        fix = "say who is told: to: ['env:NOTIFY_URL'], where that variable holds a URL such as slack://…"
        at.error("missing-key", "`to` is missing", fix)
    events = (
        [item.choice(EVENTS) for item in section["on"].items(single=True) or ()]
        if "on" in section
        else EVENTS
    )
    to = [_target(item) for item in section["to"].items(single=True) or ()] if "to" in section else []
    return Route(
        frozenset(event for event in events if event is not None),
        tuple(dict.fromkeys(reference for reference in to if reference is not None)),
    )


def _target(at: ConfigNode) -> str | None:
    text = at.node.value if isinstance(at.node, Scalar) else None
    if not isinstance(text, str) or not text.startswith("arn:"):
        return read_reference(at)
    if is_topic(text):
        return text
    fix = "write the ARN of a standard topic: arn:aws:sns:REGION:ACCOUNT:TOPIC"
    at.error("bad-reference", "this is not the ARN of an SNS topic to which messages can be sent", fix)
    return None
