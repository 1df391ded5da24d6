"""The scenes: a preview torn down, one that fails, callers who are turned away, and the stack removed again.

Every scene ends in checks over what can be seen from outside: the HTTP answer, the commit's status, the account.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any, NamedTuple
from urllib.parse import unquote

from closeout.cli.demo.narrator import Narrator
from closeout.core.errors import Unavailable
from closeout.ports import RunFilter
from closeout.testing.deliveries import pull_request
from tests.aws.demo.preview import OBJECTS, PROJECT, Previews
from tests.aws.world import Answer, World

MAIN, STUCK, NEIGHBOUR, UNTOLD = 17, 18, 170, 25
GITHUBS_SECOND = 1.5
"""What is closed in the second in which patrol begins counts as closed before."""
STRANGER = "127.0.0.2"
PATIENCE = 45.0
LOGGED = 5.0
"""Seconds until what a function said is in its log group: when its invocation has ended."""


class Stage(NamedTuple):
    """Everything that a scene plays with."""

    narrator: Narrator
    world: World
    previews: Previews


class FinishedRun(NamedTuple):
    """A run at its end, and the statuses that its commit got, the oldest first."""

    run: dict[str, Any]
    statuses: list[dict[str, Any]]

    @property
    def states(self) -> list[str]:
        """The states of the statuses."""
        return [status["state"] for status in self.statuses]

    @property
    def last(self) -> dict[str, Any]:
        """The last status."""
        nothing = {"state": "none", "description": "", "target_url": ""}
        return self.statuses[-1] if self.statuses else nothing

    def summary(self) -> str:
        """Say how it ended, for a check that does not hold."""
        return (
            f"{self.run['state']}, {self.run['verdict']}: {self.run.get('summary')}; statuses {self.states}"
        )


def main_job(stage: Stage) -> None:
    """Close a pull request: its preview is torn down, and the commit says so."""
    say, world, previews = stage
    say.scene(f"2  Pull request #{MAIN} into develop closes")
    sha = world.open(MAIN)
    previews.deploy(MAIN)
    previews.deploy(NEIGHBOUR)  # its name begins alike: it must be left alone
    say.tell("aws", f"stack preview-{MAIN}: a versioned bucket with {OBJECTS} objects")
    ended = close(stage, MAIN, sha)
    url = str(ended.last["target_url"])
    say.link("Details of that status lead to the run's lines in CloudWatch Logs:", url)
    say.check(ended.run["verdict"] == "success", "the run ended in success", ended.summary())
    say.check(
        ended.states[:1] == ["pending"]
        and ended.states[-1:] == ["success"]
        and set(ended.states) == {"pending", "success"},
        "the commit's status went from pending to success",
        " → ".join(ended.states),
    )
    emptied = f"after emptying preview-{MAIN}-site ({OBJECTS} versions)"
    say.check(
        emptied in str(ended.run.get("summary")),
        "CloudFormation refused first (the bucket was full); it was emptied, and deleted again",
        ended.summary(),
    )
    left, neighbour = previews.left(MAIN), previews.left(NEIGHBOUR)
    say.check(not left.stack and not left.bucket, "the account holds no stack and no bucket of it", str(left))
    say.check(neighbour.stack and neighbour.bucket, f"preview-{NEIGHBOUR} is untouched", str(neighbour))
    builds = previews.builds()
    say.check(
        len(builds) == 1 and builds[0]["projectName"] == PROJECT,
        "the CodeBuild project was started, once",
        f"{len(builds)} builds",
    )
    lines = details(world, url)
    say.check(
        any("the search index has forgotten preview-17" in line for line in lines),
        "Details finds the run's log; the user's own Python function wrote into it",
        " | ".join(lines)[-300:],
    )


def stuck(stage: Stage) -> None:
    """Close one whose last step fails: a failure that names it."""
    say, world, previews = stage
    say.scene(f"3  Pull request #{STUCK} closes, and one of its actions fails")
    sha = world.open(STUCK)
    previews.deploy(STUCK)
    ended = close(stage, STUCK, sha)
    say.check(
        ended.run["verdict"] == "failure" and ended.last["state"] == "failure",
        "the run and the commit's status say failure",
        ended.summary(),
    )
    summary = f"{ended.run.get('summary')} {ended.last['description']}"
    say.check("refused to forget preview-18" in summary, "the status says what went wrong", summary)
    left = previews.left(STUCK)
    say.check(not left.stack, "the steps before it had been carried out", str(left))


def again(stage: Stage) -> None:
    """Press Redeliver: the same GUID starts nothing."""
    say, world, _ = stage
    say.scene("4  GitHub sends the first delivery again")
    first = delivery_of(world, MAIN)
    world.github.sender.redeliver(world.github.world.repository("acme/shop"), first["id"])
    world.github.sender.settle()
    answer = delivery_of(world, MAIN)["response"]["payload"]
    say.tell("closeout", answer)
    said, original = json.loads(answer), json.loads(first["response"]["payload"])
    say.check(
        said.get("duplicate") is True and said.get("runs") == original.get("runs"),
        "a duplicate, answered with the run that it had started the first time",
        answer,
    )
    say.check(
        len(stage.previews.builds()) == 2, "nothing runs twice", f"{len(stage.previews.builds())} builds"
    )


def turned_away(stage: Stage) -> None:
    """Call without a signature, with a wrong one, and from elsewhere."""
    say, world, _ = stage
    say.scene("5  Somebody else calls the webhook")
    payload = pull_request(number=MAIN)
    for name, answer in (
        ("no signature", world.deliver(payload, X_Hub_Signature_256=None)),
        ("a wrong signature", world.deliver(payload, secret="guessed")),
    ):
        say.tell("closeout", f"{name}: {answer.status} {answer.text}")
        say.check(
            answer.status == 401 and message(answer) == "Unauthorized request",
            f"{name} → 401 Unauthorized request",
            f"{answer.status} {answer.text}",
        )
    answer = world.deliver(payload, source=STRANGER)
    say.tell("closeout", f"signed, from {STRANGER}: {answer.status} {answer.text}")
    say.check(
        answer.status == 403,
        "an address outside the resource policy → 403, however well it is signed",
        f"{answer.status} {answer.text}",
    )


def untold(stage: Stage) -> None:
    """Close a pull request that nobody hears of, while GitHub throttles: its preview goes all the same."""
    say, world, previews = stage
    say.scene(f"6  The stack's address is off while #{UNTOLD} closes, and GitHub throttles")
    sha = world.open(UNTOLD)
    previews.deploy(UNTOLD)
    summary = patrol(stage)
    say.check(summary["errors"] == [], "patrol begins to watch", str(summary["errors"]))
    time.sleep(GITHUBS_SECOND)
    (hook,) = world.github.world.repository("acme/shop").hooks.values()
    url, hook.url = hook.url, "http://127.0.0.1:1/webhook"
    delivery = world.close(UNTOLD)
    hook.url = url
    say.tell("github", f"#{UNTOLD} is closed; delivery {delivery['guid']}: {delivery['status']}")
    say.check(delivery["status_code"] == 0, "GitHub could not deliver it, and will not try again", "")
    world.github.faults.add("rate-limit", path=r"/repos/acme/shop/(pulls|hooks/.*)", times=0)
    summary = patrol(stage)
    started = summary["closings"]["started"] + summary["deliveries"]["recovered"]
    say.check(
        bool(summary["errors"]) and not started,
        "a patrol that is throttled says so, and takes no error for an answer",
        str(summary),
    )
    world.github.faults.clear()
    summary = patrol(stage)
    runs = world.views.runs(wanted=RunFilter(repository="acme/shop", number=UNTOLD))
    say.check(len(runs) == 1, "the next one finds the closing, and starts one run", str(summary))
    if not runs:
        return
    run = world.ended(runs[0].id, PATIENCE)
    ended = FinishedRun(run, world.statuses(sha))
    say.check(
        run["verdict"] == "success" and ended.states[-1:] == ["success"],
        f"it was heard of by: {run['heard']}",
        ended.summary(),
    )
    left = previews.left(UNTOLD)
    say.check(not left.stack and not left.bucket, "the account holds nothing of it", str(left))
    summary = patrol(stage)
    say.check(summary["closings"]["started"] == 0, "another patrol starts nothing", str(summary))


def removed(stage: Stage) -> None:
    """Compare, and take it all away."""
    say, world, _ = stage
    say.scene("7  The stack is as its template says, and then it is gone")
    said = world.cdk.diff()
    say.tell("cdk", f"diff ({said.seconds:.0f} s)")
    say.check(
        said.code == 0 and "There were no differences" in said.text,
        "cdk diff finds no differences",
        " ".join(said.text.split())[-400:],
    )
    say.tell("cdk", f"destroy ({world.cdk.destroy().seconds:.0f} s)")
    found = remains(world)
    say.check(
        not found, "cdk destroy left no function, table, secret, queue, log group or bucket", ", ".join(found)
    )


SCENES = (main_job, stuck, again, turned_away, untold, removed)


# --- what scenes share ----------------------------------------------------------------------------------------


def close(stage: Stage, number: int, sha: str) -> FinishedRun:
    """Close a pull request and tell, as they come, its statuses and log lines, until the run has ended."""
    say, world, _ = stage
    say.tell("github", f"#{number} is closed; the signed delivery goes out")
    began = time.monotonic()
    delivery = world.close(number)
    answer = str(delivery["response"]["payload"])
    say.tell("closeout", f"{delivery['status_code']} {answer} ({time.monotonic() - began:.2f} s)")
    runs = json.loads(answer).get("runs") or ["none"]
    summary, seen = 0, FinishedRun(world.run(runs[0]), [])
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run = world.run(runs[0])
        seen = FinishedRun(run, world.statuses(sha))
        for status in seen.statuses[summary:]:
            say.tell("status", f"{status['state']}: {status['description']}")
        summary = len(seen.statuses)
        if run["state"] in ("finished", "absent"):
            break
        time.sleep(0.1)
    return seen


def patrol(stage: Stage) -> dict[str, Any]:
    """Let the stack patrol, by the command; return its report."""
    command = [sys.executable, "-m", "closeout", "patrol", "--json", "--stack", stage.world.cdk.stack]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    stage.narrator.tell("closeout", f"patrol --stack {stage.world.cdk.stack}: exit code {done.returncode}")
    if not done.stdout:
        raise Unavailable(f"closeout patrol said: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def delivery_of(world: World, number: int) -> dict[str, Any]:
    """Return the newest `closed` delivery of a pull request."""
    kept = world.github.world.repository("acme/shop").deliveries
    return next(
        one for one in kept if one["action"] == "closed" and one["request"]["payload"]["number"] == number
    )


def details(world: World, url: str) -> list[str]:
    """Follow a Details link as the console does: the log group and the filter that it names."""
    text = unquote(
        unquote(url.replace("$25", "%25").replace("$3F", "?").replace("$3D", "=").replace("$26", "&"))
    )
    found = re.search(r"log-group/(.+)/log-events\?filterPattern=(.+?)&start=(\d+)", text)
    if found is None:
        return []
    group, pattern, start = found.groups()
    client, deadline = world.cloud.client("logs"), time.monotonic() + LOGGED
    while True:
        answer = client.filter_log_events(logGroupName=group, filterPattern=pattern, startTime=int(start))
        if answer["events"] or time.monotonic() > deadline:
            return [json.loads(event["message"]).get("text", "") for event in answer["events"]]
        time.sleep(0.1)


def message(answer: Answer) -> str:
    """Return the sentence of an error."""
    try:
        return str(answer.json["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def remains(world: World) -> list[str]:
    """Name what of the stack is still there; the CDK's own bootstrap stack is not part of it."""
    client = world.cloud.client
    names = [
        *(one["FunctionName"] for one in client("lambda").list_functions()["Functions"]),
        *client("dynamodb").list_tables()["TableNames"],
        *(one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]),
        *client("sqs").list_queues().get("QueueUrls", ()),
        *(one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]),
        *(one["Name"] for one in client("s3").list_buckets()["Buckets"] if "closed-pr" in one["Name"]),
        *(one["RoleName"] for one in client("iam").list_roles()["Roles"] if "closed-pr" in one["RoleName"]),
    ]
    return [str(name) for name in names]
