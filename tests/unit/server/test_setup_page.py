"""What the pages of automations, orphans and health say, from values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.inverses import inventories
from closeout.config.load import load_text
from closeout.ports.access import ACT
from closeout.server.access import Visitor
from closeout.server.pages import setup_pages
from closeout.server.pages.overview_page import OverviewData
from closeout.server.pages.rendering import Renderer

NOW = 1_790_000_000.0
CONFIG = """\
version: 1
aws: { account: '111122223333', region: eu-central-1 }
automations:
  preview-cleanup:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    grace: 1h
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
      - uses: shell
        destructive: false
        with: { argv: ['true'] }
  tryout:
    on: push
    mode: dry-run
    unguarded: true
    repositories: [acme/shop, 'acme/*']
    steps: [{ uses: shell, with: { argv: ['true'] } }]
"""
ROW = {
    "resource": "stack preview-17",
    "state": "orphan",
    "reason": "closed two days ago",
    "repository": "acme/shop",
    "pull_request": 17,
    "automation": "preview-cleanup",
    "created": NOW - 90_000,
}


def shown(template: str, **values: Any) -> str:
    """Return a page."""
    page = Renderer().html(200, template, Visitor("ada", ACT, 1, None), now=NOW, **values)
    return " ".join(bytes(page.body).decode().partition("<main")[2].split())


def test_an_automation_says_what_it_deletes_and_what_can_be_listed() -> None:
    """What starts it, what it does, and the list of its runs."""
    automations = load_text(CONFIG, builtin()).automations
    leftovers = setup_pages.leftovers(inventories(automations, builtin()))
    assert (
        setup_pages.trigger_of(automations[0].triggers[0]) == "pull_request: types closed; branches develop"
    )
    assert dict(setup_pages.facts_of(automations[0]))["Grace"] == "1 h"
    assert leftovers["preview-cleanup", automations[0].steps[0].id] == "leftovers are listed"
    assert "cannot be listed: shell cannot list" in leftovers["tryout", automations[1].steps[0].id]
    first, second = shown(
        "automations.html",
        automations=automations,
        last={},
        leftovers=leftovers,
        trigger_of=setup_pages.trigger_of,
        facts_of=setup_pages.facts_of,
    ).split("</section>")[:2]
    for text in (
        "applies its changes",
        "<dd>acme/shop</dd>",
        '"/runs?automation=preview-cleanup"',
        "has not run",
    ):
        assert text in first
    assert first.count("deletes</span>") == 1
    assert "dry run: it changes nothing" in second
    assert "<dd>acme/shop, acme/*</dd>" in second


def test_an_automation_says_its_conditions() -> None:
    """Those that the file sets, and what patrol does with what its steps leave behind."""
    (plain, harmless) = load_text(CONFIG, builtin()).automations
    assert dict(setup_pages.facts_of(plain)) == {
        "Grace": "1 h",
        "Looks again after": "15 min, 1 h, 24 h",
        "Patrol": "reports orphans",
        "Status": "closeout/preview-cleanup",
    }
    changed = replace(
        harmless, condition="event.x", function="hooks:clean", grace=0.0, recheck=(), patrol="off"
    )
    step = replace(harmless.steps[0], destructive=True)
    assert dict(setup_pages.facts_of(replace(changed, steps=(step,), status_context=""))) == {
        "Function": "hooks:clean",
        "Condition": "event.x",
        "Looks again after": "never",
        "Patrol": "leaves orphans alone",
        "Status": "none",
    }
    repairs = dict(setup_pages.facts_of(replace(plain, patrol="repair")))
    assert repairs["Patrol"] == "cleans a few orphans up by itself"
    quiet = replace(harmless, steps=(replace(step, destructive=False),))
    assert list(dict(setup_pages.facts_of(quiet))) == ["Status"]


def test_orphans_are_those_of_the_last_audit() -> None:
    """With their pull request; what is unknown stands apart."""
    unknown = {**ROW, "state": "unknown", "reason": "GitHub did not answer", "created": None}
    mark = {"ended_at": NOW - 7_200, "found": 3, "unknown": 1, "rows": [ROW, unknown]}
    text = shown("orphans.html", **setup_pages.orphans(mark, listed=1))
    assert "as patrol found them 2 h ago" in text
    assert "2 more: <code>closeout orphans</code>" in text
    orphan, other = text.split('id="unknown-title"')
    assert '<a href="/pull-requests/acme/shop/17">acme/shop#17</a>' in orphan
    assert ">1 d ago</td>" in orphan
    assert ">unknown</td>" in other
    assert "GitHub did not answer" in other


@pytest.mark.parametrize(
    ("mark", "listed", "says"),
    [
        ({}, 0, "No step has an inventory"),
        ({}, 1, "no audit yet"),
        ({"ended_at": NOW}, 1, "no audit yet"),
        ({"ended_at": NOW, "found": 4}, 1, "no audit yet"),
        ({"ended_at": NOW, "found": 0, "unknown": 0, "rows": []}, 1, "found nothing"),
    ],
)
def test_what_nobody_has_looked_at_is_no_zero(mark: dict[str, Any], listed: int, says: str) -> None:
    """A mark of an earlier release has no rows."""
    told = setup_pages.orphans(mark, listed=listed)
    assert says in told["none"]
    assert (told["found"], told["unknown"]) == (mark.get("found", 0), 0)


def test_health_says_since_when() -> None:
    """Never is a word, and not a time."""
    patrol = {"lists": {"ended_at": NOW - 300, "repositories": 3, "errors": ["no right", "no right"]}}
    known = OverviewData(NOW, None, (), open_count=3, queue_age=4_000.0, patrol_ended=NOW - 300)
    facts = {fact.label: fact for fact in setup_pages.health(known, patrol)}
    assert facts["Patrol read the lists"][1:3] == ("5 min ago", "3 repositories")
    assert facts["Patrol read the logs"].value == facts["Last drill"].value == "never"
    assert facts["Last delivery"].value == "none yet"
    assert facts["Runs under way"].value == "3"
    assert facts["Oldest queued run"].tone == "wait"
    assert setup_pages.patrol_errors(patrol) == ["no right"]


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (0.9, ("none waits", "none")),
        (1.0, ("1.0 s", "none")),
        (3_599.0, ("59 min 59 s", "none")),
        (3_600.0, ("1 h", "wait")),
    ],
)
def test_a_queue_is_slow_from_an_hour_on(age: float, told: tuple[str, str]) -> None:
    """One of less than a second is none."""
    facts = setup_pages.health(OverviewData(NOW, None, (), open_count=1, queue_age=age), {})
    assert [(fact.value, fact.tone) for fact in facts if fact.label == "Oldest queued run"] == [told]


@pytest.mark.parametrize(
    ("free", "size", "told"),
    [
        (2**30, 10**9, ("1.1 GB free", "the ledger has 1.0 GB", "none")),
        (2**30 - 1, 10**9 - 10**6, ("1.1 GB free", "the ledger has 999 MB", "bad")),
    ],
)
def test_a_disk_that_is_nearly_full_is_bad(free: int, size: int, told: tuple[str, str, str]) -> None:
    """With less than a gibibyte: a flood of deliveries would fill it in minutes."""
    assert setup_pages.disk(free, size)[1:4] == told


def test_what_is_wrong_comes_first() -> None:
    """With what to do; a check that this version does not know is still shown."""
    from closeout.checks import registry

    wrong = registry.CHECKS[0]
    states = setup_pages.wrong_first({"a-new-check": "fine", wrong.id: "wrong"})
    assert states == [(wrong.id, "wrong"), ("a-new-check", "fine")]
    text = shown(
        "health.html", facts=(), errors=(), states=states, words=setup_pages.STATES, checks={wrong.id: wrong}
    )
    assert ">Wrong</span>" in text
    assert ">Fine</span>" in text
    assert "What to do" in text
