"""Rules that are compiled when a stack is made."""

from __future__ import annotations

from dataclasses import replace

from closeout.core.automation import Automation
from closeout.core.rules import compile_rules, read_rules, rules_of

AUTOMATION = Automation(
    name="aufräumen",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},),
    repositories=("acme/shop",),
    senders=("octo-dev",),
    concurrency="${{ event.repository.id }}",
)


def test_rules_are_unchanged_by_storing() -> None:
    """The receiver on AWS matches with what it reads."""
    text = compile_rules([AUTOMATION], ("closeout/preview",))
    assert read_rules(text) == (rules_of([AUTOMATION]), ("closeout/preview",))


def test_the_same_automations_yield_the_same_text() -> None:
    """Building a stack again from the same file changes nothing; letters of any language are not escaped."""
    text = compile_rules([AUTOMATION], ())
    turned = tuple(dict(reversed(list(one.items()))) for one in AUTOMATION.triggers)
    assert compile_rules([replace(AUTOMATION, triggers=turned)], ()) == text
    assert '"name":"aufräumen"' in text
