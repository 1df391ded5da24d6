"""The table of live checks: the loader, the permissions and a run read one rule from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeout import livecheck
from closeout.actions.registry import builtin
from closeout.config.load import check, load
from closeout.config.permissions import statements
from closeout.testing.deliveries import pull_request

HEAD = "version: 1\nsecrets: { webhook: env:W, github: env:G }\nautomations:\n  a:\n    repositories: [acme/shop]\n"
STEPS = "    steps: [{ uses: shell, with: { run: ./remove } }]\n"
TRIGGERS = {
    "pull_request: { types: [closed] }": ("always", "pull_requests:read"),
    "pull_request: { types: [closed, opened] }": ("sometimes", "pull_requests:read"),
    "pull_request: { types: [opened] }": ("never", None),
    "delete: {}": ("always", "contents:read"),
    "release: { types: [published] }": ("never", None),
    "push: {}": ("never", None),
}


@pytest.mark.parametrize("on", TRIGGERS)
def test_a_destructive_step_needs_unguarded_unless_every_event_has_a_live_check(
    tmp_path: Path, on: str
) -> None:
    """The loader refuses what a run could not check again."""
    path = tmp_path / "closeout.yaml"
    path.write_text(f"{HEAD}    on: {{ {on} }}\n{STEPS}", encoding="utf-8")
    codes = [finding.code for finding in check(path, builtin())]
    assert codes == ([] if TRIGGERS[on][0] == "always" else ["unguarded-event"])


@pytest.mark.parametrize("on", TRIGGERS)
def test_the_token_gets_the_right_to_read_what_a_run_checks(tmp_path: Path, on: str) -> None:
    """The permission of a row is needed as soon as one event can have its check, `unguarded` or not."""
    path = tmp_path / "closeout.yaml"
    path.write_text(f"{HEAD}    unguarded: true\n    on: {{ {on} }}\n{STEPS}", encoding="utf-8")
    found = {name for one in statements(load(path, builtin()).automations, builtin()) for name in one.actions}
    expected = TRIGGERS[on][1]
    assert found - {"statuses:write"} == (set() if expected is None else {expected})


REF: dict[str, Any] = {
    "ref": "fix",
    "ref_type": "branch",
    "repository": {"id": 1, "full_name": "acme/shop", "name": "shop", "owner": {"id": 2, "login": "acme"}},
}


@pytest.mark.parametrize(
    ("event", "payload", "kind"),
    [
        ("pull_request", pull_request(), "pull request"),
        ("pull_request", pull_request(action="opened"), None),
        ("delete", REF, "ref"),
        ("pull_request_target", pull_request(), None),
        ("pull_request_review", pull_request(), None),
        ("push", REF, None),
    ],
)
def test_a_run_has_a_subject_where_the_table_has_a_row(
    event: str, payload: dict[str, Any], kind: str | None
) -> None:
    """GitHub sends no webhook called `pull_request_target`, so nothing is looked up for one."""
    subject = livecheck.subject_of(event, payload)
    assert (subject and subject.kind) == kind
    assert (livecheck.find(event, payload.get("action")) is not None) is (kind is not None)


def test_no_event_has_two_live_checks() -> None:
    """The first row that fits decides, so a second one would never be asked."""
    events = [(one.event, one.action) for one in livecheck.CHECKS]
    assert len(set(events)) == len({event for event, _ in events}) == len(events)
    assert len({one.kind for one in livecheck.CHECKS}) == len(livecheck.CHECKS)
