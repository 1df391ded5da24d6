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


def test_rules_come_back_as_they_were() -> None:
    """The receiver on AWS matches by what it reads."""
    text = compile_rules([AUTOMATION], ("closeout/preview",))
    assert read_rules(text) == (rules_of([AUTOMATION]), ("closeout/preview",))


def test_the_same_automations_give_the_same_text() -> None:
    """A stack that is made again from the same file does not change; letters of any language are themselves."""
    text = compile_rules([AUTOMATION], ())
    turned = tuple(dict(reversed(list(one.items()))) for one in AUTOMATION.triggers)
    assert compile_rules([replace(AUTOMATION, triggers=turned)], ()) == text
    assert '"name":"aufräumen"' in text
