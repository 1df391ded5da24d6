"""A teardown on AWS: what closeout adds to AWS's own time, the calls that it makes, and the time of a large plan.

    python -m bench.teardown [--keep]

Each case is a closed pull request, accepted and carried out by the worker's own code over moto on this machine, invoked
when Lambda would invoke it: after whole seconds, one at least. A delete of a stack takes a fixed time there; what is left of
the time until `verified gone` is closeout's: its polls, its checks, and moto's answers. A full bucket makes CloudFormation
fail once, so that AWS's own time is two deletes.

The plan is of one stack with 500 resources, whose tags are read as `protect.tags` asks, over an account that answers each
call after 50 ms. Then all of them are verified.
"""

import argparse
import contextlib
import io
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.tools import BENCH
from closeout.actions.aws import cloudformation_delete_stack as action
from closeout.core.errors import ServiceError
from closeout.engine.lambda_ import DONE
from closeout.ports import AwsTarget
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.unit.actions.aws import previews
from tests.unit.wiring.stack_world import StackWorld

TAKES = 4.0
"""Seconds that one delete of a stack takes in the emulator."""
RESOURCES, LATENCY = 500, 0.05
PLAN_BUDGET = 5.0
ACCOUNT, STACK = "123456789012", "preview-17"


class Case(NamedTuple):
    """What the stack of the pull request holds, and how often AWS deletes it."""

    name: str
    template: str
    fill: Callable[[Any], None]
    deletes: int = 1


def _nothing(_clients: Any) -> None:
    """Leave the stack as it is."""


CASES = (
    Case("a stack of one queue", previews.template(Queue=previews.queue("preview-17-queue")), _nothing),
    Case(
        "a bucket with 2,500 objects",
        previews.template(Assets=previews.bucket("preview-17-assets")),
        lambda _clients: previews.fill_many("preview-17-assets", 2_500),
        deletes=2,
    ),
    Case(
        "a stack with 200 resources",
        previews.template(**{f"Queue{number}": previews.queue(f"q-{number}") for number in range(200)}),
        _nothing,
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.teardown", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the figures in bench/results")
    options = parser.parse_args()
    results = {"teardowns": [measure(case) for case in CASES], "plan": plan()}
    text = report(results)
    print(text)
    if options.keep:
        place = BENCH / "results" / f"{datetime.now(UTC):%Y-%m-%d}-teardown"
        place.with_suffix(".md").write_text(text + "\n", "utf-8")
        place.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return 0


def measure(case: Case) -> dict[str, Any]:
    """Carry one teardown out; return its seconds and its calls."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeAws(delete_seconds=TAKES) as aws,
        contextlib.ExitStack() as stack,
        FakeGitHub(token="token") as github,
    ):
        stack.enter_context(_environment(aws))
        world = StackWorld(aws, github, Path(folder), token="token")
        clients = world.runtime.deps.clients.for_step(AwsTarget(ACCOUNT, "us-east-1", None))
        previews.create(clients, body=case.template)
        case.fill(clients)
        world.say("max-changes: 300")
        execution, _ = world.closes()
        seen, asked = len(aws.requests()), len(github.requests())
        began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            visits = _carry_out(world, execution)
        seconds = time.monotonic() - began
        ending = world.ending(execution)
        if ending.verdict != "success":
            raise RuntimeError(f"{case.name}: {ending.summary}")
        calls = Counter(str(entry.get("service")) for entry in aws.requests()[seen:])
        return {
            "case": case.name,
            "beyond": seconds - case.deletes * TAKES,
            "aws": case.deletes * TAKES,
            "visits": visits,
            "calls": dict(calls.most_common()),
            "github": len(github.requests()) - asked,
        }


def _carry_out(world: StackWorld, execution: str) -> int:
    """Invoke as Lambda does until the run has ended; return how often."""
    for number in range(1, 200):
        outcome = world.runtime.engine.advance(execution, lambda: 890.0)
        if outcome == DONE:
            return number
        time.sleep(max(1, math.ceil(outcome["wake"] - time.time())))
    raise RuntimeError("the run did not end")


@contextlib.contextmanager
def _environment(aws: FakeAws) -> Any:
    """Let every client of this process talk to the emulator."""
    import os

    before = dict(os.environ)
    os.environ |= aws.environment()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


class SlowAccount:
    """An account with one stack, that answers each call after `LATENCY` seconds. `calls` counts them."""

    def __init__(self) -> None:
        self.calls = 0
        self.gone = False
        self.id = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{STACK}/x"

    def aws(self, _service: str) -> "SlowAccount":
        return self

    def account(self) -> str:
        self._answer()
        return ACCOUNT

    def _answer(self) -> None:
        self.calls += 1
        time.sleep(LATENCY)

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - as boto3 spells it
        self._answer()
        if self.gone:
            raise _refusal("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackId": self.id, "StackName": STACK, "StackStatus": "CREATE_COMPLETE"}]}

    def get_template(self, **_arguments: str) -> dict[str, Any]:
        self._answer()
        return {"TemplateBody": {"Resources": {}}}

    def list_stack_resources(self, *, NextToken: str = "0", **_arguments: str) -> dict[str, Any]:  # noqa: N803
        self._answer()
        first = int(NextToken)
        rows = [
            {
                "ResourceType": "AWS::SQS::Queue",
                "LogicalResourceId": f"Queue{number}",
                "PhysicalResourceId": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q-{number}",
                "ResourceStatus": "CREATE_COMPLETE",
            }
            for number in range(first, first + 100)
        ]
        more = {"NextToken": str(first + 100)} if first + 100 < RESOURCES else {}
        return {"StackResourceSummaries": rows, **more}

    def list_queue_tags(self, **_arguments: str) -> dict[str, Any]:
        self._answer()
        return {}

    def get_queue_attributes(self, **_arguments: Any) -> dict[str, Any]:
        self._answer()
        raise _refusal("QueueDoesNotExist", "no such queue")


def _refusal(reason: str, message: str) -> ServiceError:
    return ServiceError(message, service="aws", operation="call", reason=reason)


def plan() -> dict[str, float]:
    """Return the seconds and the calls of a plan with tags, and of the checks after the delete."""
    account: Any = SlowAccount()
    began = time.monotonic()
    changes = action.ACTION.plan({"stack-name": STACK}, account)
    assert action.ACTION.read_tags is not None
    changes = action.ACTION.read_tags(changes, account)
    planned, calls = time.monotonic() - began, account.calls
    account.gone = True
    began = time.monotonic()
    left = action.verify(changes, account)
    assert len(changes) == RESOURCES + 1
    assert not left
    return {
        "plan": planned,
        "plan_calls": calls,
        "verify": time.monotonic() - began,
        "verify_calls": account.calls - calls,
    }


def report(results: dict[str, Any]) -> str:
    """Return the page."""
    rows = results["teardowns"]
    about = f"A delete of a stack takes {TAKES:g} s there. Times are from the accepted delivery to the run's end, the last"
    about += " status included, without AWS's own time."
    lines = [
        "# Teardowns on AWS, over moto on one machine",
        "",
        about,
        "",
        "| a closed pull request with | AWS's own time, s | beyond it, s | invocations | calls to GitHub | calls to AWS |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        calls = ", ".join(f"{service} {number}" for service, number in row["calls"].items())
        lines.append(
            f"| {row['case']} | {row['aws']:g} | {row['beyond']:.1f} | {row['visits']} | {row['github']} |"
            f" {sum(row['calls'].values())} ({calls}) |"
        )
    made = results["plan"]
    held = "holds" if made["plan"] < PLAN_BUDGET else "**does not hold**"
    text = f"A plan of {RESOURCES} resources with their tags, {LATENCY * 1000:g} ms a call: {made['plan']:.1f} s for"
    text += f" {made['plan_calls']:.0f} calls; the budget, {PLAN_BUDGET:g} s, {held}. Verified afterwards in"
    text += f" {made['verify']:.1f} s with {made['verify_calls']:.0f} calls."
    return "\n".join([*lines, "", text])


if __name__ == "__main__":
    sys.exit(main())
