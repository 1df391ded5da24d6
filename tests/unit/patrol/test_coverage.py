"""What patrol reads of a configuration: repositories that are written out, for whoever listens there."""

from __future__ import annotations

from typing import Any

from closeout.core.automation import Automation
from closeout.patrol.coverage import coverage

CLOSED: dict[str, Any] = {"event": "pull_request", "types": ["closed"]}


def automation(name: str, *repositories: str, trigger: dict[str, Any] = CLOSED) -> Automation:
    """Return an automation."""
    return Automation(name=name, triggers=(trigger,), repositories=repositories)


def test_each_repository_has_those_who_listen_there() -> None:
    """Also those who name it by a pattern, or name none; what takes it back counts, and case does not."""
    found = coverage(
        [
            automation("shop", "acme/shop", "acme/docs"),
            automation("all", "acme/*", "!acme/docs"),
            automation("any"),
            automation("again", "ACME/Shop"),
            automation("opened", "acme/other", trigger={"event": "pull_request", "types": ["opened"]}),
            automation("push", "acme/other", trigger={"event": "push"}),
        ]
    )
    assert found.repositories == {
        "acme/shop": ("shop", "all", "any", "again"),
        "acme/docs": ("shop", "any"),
    }
    assert (found.patterns, found.listed) == ((("any", "*"),), ("acme",))


def test_a_pattern_stands_for_what_github_lists_of_its_owner() -> None:
    """Without what the automation takes back, or another owner has; a name that is written out stays as it is written."""
    found = coverage([automation("all", "acme/*", "!acme/old"), automation("shop", "Acme/Shop")])
    wider = found.with_listed(["acme/shop", "acme/docs", "acme/old", "other/shop"])
    assert wider.repositories == {"Acme/Shop": ("all", "shop"), "acme/docs": ("all",)}
    assert [found.listeners(name) for name in ("acme/new", "acme/old", "other/shop")] == [("all",), (), ()]


def test_webhooks_of_an_owner_whom_a_pattern_names_are_read_too() -> None:
    """An organization's hook brings the closings of all its repositories."""
    assert coverage([automation("all", "acme/*")]).owners == ("acme",)
    found = coverage([automation("any"), automation("odd", "a*/shop")])
    assert (found.repositories, found.patterns, found.owners) == ({}, (("any", "*"), ("odd", "a*/shop")), ())
