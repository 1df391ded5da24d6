"""Which targets of messages a stack can reach, and by what."""

from __future__ import annotations

from closeout.core.problems import Route, Routes
from closeout.stack.problems import is_notifiable, secrets, topics

TOPIC = "arn:aws:sns:eu-central-1:123456789012:previews"
SECRET = "aws-secretsmanager:closeout/chat"


def test_topics_and_secrets_are_reached_and_nothing_else() -> None:
    """A variable of a server's environment is not there on AWS; each target is named once."""
    route = Route(frozenset({"failure"}), (TOPIC, "env:CHANNEL", SECRET))
    routes = Routes(route, {"clean": Route(frozenset({"failure"}), (f"{TOPIC}2", SECRET))})
    assert topics(routes) == (TOPIC, f"{TOPIC}2")
    assert tuple(secrets(routes)) == (SECRET,)
    assert [is_notifiable(target) for target in (TOPIC, SECRET, "env:CHANNEL", "file:/run/x")] == [
        True,
        True,
        False,
        False,
    ]
