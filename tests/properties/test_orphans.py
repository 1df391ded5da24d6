"""The verdict over any mixture: an orphan if and only if every single proof is there, in whatever order they are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.actions.registry import builtin
from closeout.actions.spec import Existing
from closeout.core.automation import RECHECK
from closeout.core.units import iso
from closeout.orphans.reading import Pull
from closeout.orphans.verdict import SLACK, Find, PullRequestQueries, judge
from closeout.testing import payloads
from tests.unit.orphans.test_verdict import AUTOMATION, STEP

USES = STEP.uses
OPENED, LAST_RECHECK = 1_700_000_000.0, max(RECHECK)
KEEPS = "!event.pull_request.labels.exists(label, label.name == 'keep-preview')"
offsets = st.sampled_from([-SLACK - 1, -SLACK, -1.0, 0.0, 1.0])
lives = st.sampled_from([0.0, 60.0, 30 * 86_400.0])
after = st.sampled_from([-60.0, 0.0, LAST_RECHECK, LAST_RECHECK + SLACK, LAST_RECHECK + SLACK + 1, 9e6])


@settings(max_examples=200)
@given(
    life=lives,
    early=st.one_of(st.none(), offsets),
    late=after,
    state=st.sampled_from(["closed"] * 4 + ["open"]),
    name=st.sampled_from(["preview-17"] * 4 + ["preview-017", "preview-170", "Preview-17"]),
    base=st.sampled_from(["develop"] * 4 + ["main"]),
    labels=st.sampled_from([(), ("keep-preview",), ("x",)]),
    condition=st.sampled_from([None, KEEPS, "has(event.sender)", "event.pull_request.merged"]),
    step_condition=st.sampled_from([None, "event.number == 17", "event.number == 18"]),
    whole=st.booleans(),
)
def test_an_orphan_has_all_proofs_and_nothing_else_is_one(**drawn: Any) -> None:
    """What is open, foreign, kept, of another time, or not to be decided, is never called an orphan."""
    opened, closed = OPENED, OPENED + drawn["life"]
    created = opened + drawn["early"] if drawn["early"] is not None else closed + drawn["late"]
    repository = payloads.repository()
    answer = payloads.pull_request(
        repository, state=drawn["state"], base=drawn["base"], labels=drawn["labels"]
    ) | {"created_at": iso(opened), "closed_at": iso(closed) if drawn["state"] == "closed" else None}
    if not drawn["whole"]:
        del answer["merged"]
    pull = Pull(answer, drawn["whole"])
    existing = Existing(resource=drawn["name"], inputs={"stack-name": drawn["name"]}, created=created)
    automation = replace(AUTOMATION, condition=drawn["condition"])
    step = replace(STEP, condition=drawn["step_condition"])
    find = Find(existing, None, automation, step, builtin()[USES], "acme/shop", 17)
    whole = Pull(answer | {"merged": False}, whole=True)
    ask = PullRequestQueries(lambda _number: whole, lambda _name, _number: (), lambda _name, _number: ())
    verdict = judge(find, pull, ask)
    matched = drawn["condition"] is None or (
        drawn["condition"] == KEEPS and "keep-preview" not in drawn["labels"]
    )
    proofs = (
        drawn["state"] == "closed",
        drawn["name"] == "preview-17",
        drawn["base"] == "develop",
        opened - SLACK <= created <= closed + LAST_RECHECK + SLACK,
        matched,
        drawn["step_condition"] in (None, "event.number == 17"),
    )
    assert (verdict.state == "orphan") == all(proofs), verdict
    assert (verdict.state == "open") == (drawn["state"] == "open")
