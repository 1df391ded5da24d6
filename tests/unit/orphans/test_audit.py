"""The audit as a whole, over plain fakes: which pull request owns what, and the cost of an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.actions.spec import Action, Existing
from closeout.config.inverses import inventories
from closeout.core.automation import Automation
from closeout.core.errors import ServiceError
from closeout.core.inverse import NamePatterns
from closeout.core.units import iso
from closeout.orphans.audit import EVERY, Audit, Report, Row
from closeout.ports import AwsTarget, ClientFactory, Clients, GitHub
from closeout.testing import payloads
from tests.unit.orphans.test_verdict import AUTOMATION, NOW, OPENED, STEP, TIMES, USES

ACCOUNT = "123456789012"


class FakeGitHub:
    """Repositories with closed pull requests of some numbers, and maybe an error for one path, or other fields."""

    def __init__(self, fails: str = "", **fields: Any) -> None:
        self.fails, self.fields = fails, fields

    def request(self, _method: str, path: str, query: Any = None) -> Any:
        if path == self.fails:
            raise ServiceError("GitHub: 502", service="github", operation=path, reason="502", transient=True)
        _, _, owner, name, *_ = path.split("/")
        about = payloads.repository(f"{owner}/{name}", number=len(name))
        if not path.endswith("/pulls"):
            return about
        return [payloads.pull_request(about, number=number) | TIMES | self.fields for number in (19, 18, 17)]

    def pull_request_files(self, _repository: str, _number: int) -> tuple[str, ...]:
        raise AssertionError("no automation here has paths")


class FakeClients:
    """An AWS account with stacks by region; `fails` names the region that gives an error after them."""

    def __init__(
        self,
        stacks: dict[str, Sequence[str]],
        fails: str = "",
        created: Mapping[str, float | None] = MappingProxyType({}),
    ) -> None:
        self.stacks, self.fails, self.created = stacks, fails, created
        self.listed: list[str] = []
        self.region = ""

    def for_step(self, target: AwsTarget | None) -> Clients:
        assert target is not None
        bound = FakeClients(self.stacks, self.fails, self.created)
        bound.listed, bound.region = self.listed, target.region
        return cast("Clients", bound)

    def account(self) -> str:
        return ACCOUNT


def inventory(_names: Sequence[NamePatterns], clients: Clients) -> Iterable[Existing]:
    fake = cast("FakeClients", clients)
    fake.listed.append(fake.region)
    for name in fake.stacks.get(fake.region, ()):
        created = OPENED - 3_600 if name.startswith("old-") else fake.created.get(name, OPENED + 60)
        yield Existing(resource=name, inputs={"stack-name": name}, created=created)
    if fake.region == fake.fails:
        raise ServiceError(
            "AccessDenied", service="cloudformation", operation="ListStacks", reason="AccessDenied"
        )


def named(name: str, automation: str = "a", **more: Any) -> Automation:
    step = replace(STEP, inputs={"stack-name": name}, region=more.pop("region", "eu-central-1"))
    return replace(AUTOMATION, name=automation, steps=(step,), **more)


def audit(automations: Sequence[Automation], clients: FakeClients, github: Any = None, **more: Any) -> Report:
    actions: dict[str, Action] = {USES: replace(builtin()[USES], inventory=inventory)}
    made = Audit(
        cast("ClientFactory", clients),
        cast("GitHub", github or FakeGitHub()),
        NOW,
        lambda _text: None,
        **more,
    )
    return made.run(inventories(automations, actions))


def states(report: Report) -> dict[str, str]:
    return {row.resource: row.state for row in report.rows}


PREVIEW = "preview-${{ event.pull_request.number }}"


def test_a_name_that_may_belong_to_two_pull_requests_is_no_orphan() -> None:
    """The closed one must not lose what may be the other's."""
    two = named(PREVIEW, repositories=("acme/shop", "acme/website"))
    (row,) = audit([two], FakeClients({"eu-central-1": ["preview-17"]})).rows
    assert (row.state, row.reason) == ("unknown", "its name may belong to acme/shop#17 or acme/website#17")
    assert str(row.target) == "acme/shop#17 a"


def test_one_automation_that_would_delete_it_is_enough() -> None:
    """Two name the same preview of one pull request, and the triggers of one match."""
    triggers = ({"event": "pull_request", "types": ["closed"], "branches": ["main"]},)
    both = [named(PREVIEW, "main", triggers=triggers), named(PREVIEW, "develop")]
    clients = FakeClients({"eu-central-1": ["preview-17"]})
    (row,) = audit(both, clients).rows
    assert (row.state, row.automation) == ("orphan", "develop")
    assert clients.listed == ["eu-central-1"]


def test_regions_are_listed_separately() -> None:
    """Stacks with one name in two regions are two stacks."""
    both = [named(PREVIEW, "one"), named(PREVIEW, "two", region="us-east-1")]
    clients = FakeClients({"eu-central-1": ["preview-17"], "us-east-1": ["preview-17", "preview-18"]})
    report = audit(both, clients)
    assert [(row.resource, row.automation) for row in report.of("orphan")] == [
        ("preview-17", "one"),
        ("preview-17", "two"),
        ("preview-18", "two"),
    ]


def test_an_error_affects_only_its_own_listing() -> None:
    """Earlier and other regions' listings count, and the error is reported."""
    both = [named(PREVIEW, "one"), named(PREVIEW, "two", region="us-east-1")]
    report = audit(
        both, FakeClients({"eu-central-1": ["preview-17"], "us-east-1": ["preview-18"]}, "us-east-1")
    )
    assert states(report) == {"preview-17": "orphan", "preview-18": "orphan"}
    assert report.errors == ("AccessDenied",)


@pytest.mark.parametrize("path", ["/repos/acme/shop", "/repos/acme/shop/pulls"])
def test_an_error_of_github_leaves_its_repository_unknown(path: str) -> None:
    """The other repository's are judged."""
    name = "${{ event.repository.name }}"
    two = named(f"p-{name}-{PREVIEW}", repositories=("acme/shop", "acme/website"))
    clients = FakeClients({"eu-central-1": ["p-shop-preview-17", "p-website-preview-17"]})
    report = audit([two], clients, FakeGitHub(fails=path))
    assert states(report) == {"p-website-preview-17": "orphan", "p-shop-preview-17": "unknown"}
    assert report.errors == ("GitHub: 502",)
    known, unknown = report.rows
    assert known.repository_id == len("website")
    shown = path != "/repos/acme/shop"
    assert (unknown.repository_id, unknown.private) == ((len("shop"), True) if shown else (0, False))


def test_the_wrong_account_is_not_listed() -> None:
    """Nothing in another account is closeout's."""
    step = replace(STEP, account="999999999999")
    clients = FakeClients({"eu-central-1": ["preview-17"]})
    report = audit([replace(AUTOMATION, steps=(step,))], clients)
    assert (report.rows, clients.listed) == ((), [])
    assert "999999999999" in report.errors[0]


def test_a_pull_request_with_an_unfinished_run_is_left_alone() -> None:
    """Its teardown is in progress."""
    clients = FakeClients({"eu-central-1": ["preview-17", "preview-18"]})
    report = audit(
        [named(PREVIEW)],
        clients,
        busy=lambda _name, number: "run r is not finished" if number == 17 else None,
    )
    assert states(report) == {"preview-18": "orphan", "preview-17": "unknown"}


def test_an_orphan_next_to_something_else_is_spared() -> None:
    """A run deletes all that its automation names, which may include another team's stack."""
    old = replace(STEP, id="old", inputs={"stack-name": "old-${{ event.pull_request.number }}"})
    both = replace(AUTOMATION, steps=(STEP, old))
    clients = FakeClients({"eu-central-1": ["preview-17", "old-17", "preview-18"]})
    report = audit([both], clients)
    assert states(report) == {"preview-17": "orphan", "preview-18": "orphan", "old-17": "unknown"}
    assert [target.number for target in report.targets()] == [18]


def test_a_name_uses_githubs_spelling_of_the_repository() -> None:
    """The file may use lower case; existing names have GitHub's."""
    name = "p-${{ event.repository.name }}-${{ event.number }}"
    clients = FakeClients({"eu-central-1": ["p-Shop-17", "p-shop-17"]})

    class Capital(FakeGitHub):
        def request(self, method: str, path: str, query: Any = None) -> Any:
            return super().request(method, path.replace("/shop", "/Shop"), query)

    report = audit([named(name)], clients, Capital())
    assert states(report) == {"p-Shop-17": "orphan"}


def test_an_orphan_has_its_age() -> None:
    """Without a creation time in AWS it counts as new."""
    row = Row(None, "preview-17", "orphan", "", "acme/shop", 17, "clean", NOW - 90.0, failed=False)
    assert row.to_json(NOW) == {
        "resource": "preview-17",
        "repository": "acme/shop",
        "pull_request": 17,
        "automation": "clean",
        "created": iso(NOW - 90.0),
        "age_seconds": 90,
    }
    unknown = row._replace(created=None).to_json(NOW)
    assert (unknown["created"], unknown["age_seconds"]) == (iso(NOW), 0)


def test_orphans_come_first_and_the_oldest_of_each_state() -> None:
    """What AWS gives no time for comes last of its state: nobody knows how long it has been there."""

    class Reopened(FakeGitHub):
        def request(self, method: str, path: str, query: Any = None) -> Any:
            answer = super().request(method, path, query)
            if isinstance(answer, list):
                answer[0]["state"] = "open"
            return answer

    steps = [
        replace(STEP, id=name, inputs={"stack-name": name + "-${{ event.pull_request.number }}"})
        for name in ("preview", "old", "site")
    ]
    names = ["preview-19", "site-19", "site-17", "old-17", "preview-17", "site-18", "preview-18"]
    created = {"preview-18": OPENED + 30, "site-17": None, "site-19": OPENED + 30}
    clients = FakeClients({"eu-central-1": names}, created=created)
    report = audit([replace(AUTOMATION, steps=tuple(steps))], clients, Reopened())
    assert [(row.resource, row.state) for row in report.rows] == [
        ("preview-18", "orphan"),
        ("preview-17", "orphan"),
        ("site-18", "orphan"),
        ("old-17", "unknown"),
        ("site-17", "unknown"),
        ("site-19", "open"),
        ("preview-19", "open"),
    ]


def test_a_pull_request_reopened_meanwhile_is_open_for_every_automation() -> None:
    """GitHub's list said closed; the later answer about it alone counts."""

    class Reopened(FakeGitHub):
        def request(self, method: str, path: str, query: Any = None) -> Any:
            if not path.endswith("/pulls/17"):
                return super().request(method, path, query)
            return payloads.pull_request(payloads.repository(number=len("shop")), number=17, state="open")

    alone = named(PREVIEW, "alone", condition="has(event.pull_request.commits)")
    clients = FakeClients({"eu-central-1": ["preview-17"]})
    (row,) = audit([named(PREVIEW, "listed"), alone], clients, Reopened()).rows
    assert (row.state, row.automation) == ("open", "alone")


@pytest.mark.parametrize(
    ("fields", "closing"),
    [
        ({"id": 117}, "4/117/2026-03-14T09:26:53Z"),
        ({"id": None}, None),
        ({"id": 117, "closed_at": None}, None),
    ],
)
def test_a_closing_has_githubs_id_and_time_or_is_none(fields: dict[str, Any], closing: str | None) -> None:
    """A problem is found again by it."""
    clients = FakeClients({"eu-central-1": ["preview-17"]})
    (row,) = audit([named(PREVIEW)], clients, FakeGitHub(**fields)).rows
    assert row.closing == closing


@pytest.mark.parametrize("count", [EVERY, EVERY + 1])
def test_a_long_audit_reports_its_progress(count: int) -> None:
    """After a number of listed names, and of judged ones."""
    said: list[str] = []
    stacks = [f"preview-{number}" for number in range(1, count + 1)]
    clients = FakeClients({"eu-central-1": stacks})
    actions: dict[str, Action] = {USES: replace(builtin()[USES], inventory=inventory)}
    plans = inventories([named(PREVIEW)], actions)
    Audit(cast("ClientFactory", clients), cast("GitHub", FakeGitHub()), NOW, said.append).run(plans)
    judging = [f"Judging 1 to {EVERY} of {EVERY + 1}", f"Judging {EVERY + 1} to {EVERY + 1} of {EVERY + 1}"]
    assert said == [
        f"Listing what {USES} deletes in {ACCOUNT}/eu-central-1",
        f"  {EVERY} listed",
        f"Reading {count} pull requests of acme/shop",
        *(judging if count > EVERY else []),
    ]
