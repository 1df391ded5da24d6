"""The scenes: the main job, and then each way in which such automation fails elsewhere.

Every scene ends with checks of what can be seen from outside: the HTTP answer, the commit's status, the account.
"""

from __future__ import annotations

import json

from closeout.cli.demo.story import Follower, Stage, close_pull_request
from closeout.testing.deliveries import encode, pull_request, signed_headers

MAIN, INTO_MAIN, BUSY, STUCK, KILLED, UNTOLD = 17, 18, 19, 21, 23, 25


def main_job(stage: Stage) -> None:
    """Close a pull request: its preview is torn down, and the commit says so."""
    say, cloud = stage.narrator, stage.cloud
    say.scene(f"1  Pull request #{MAIN} into develop closes")
    sha = stage.github.open(MAIN)
    cloud.deploy(MAIN)
    cloud.deploy(170)  # a neighbour whose name begins in the same way: it must be left alone
    say.tell("aws", f"stack preview-{MAIN}: a bucket with 3 objects, 3 old versions")
    say.tell("aws", f"s3://acme-uploads/pr-{MAIN}/: 3 objects; pr-170/ is another's")
    follower = close_pull_request(stage, MAIN, sha)
    ended = follower.until_the_end()
    url = ended.last["target_url"]
    say.link("Details of that status lead to the run's page:", str(url))
    states = [status["state"] for status in ended.statuses]
    say.check(ended.verdict == "success", "the run ended in success", ended.summary())
    say.check(
        states[:1] == ["pending"] and states[-1:] == ["success"] and set(states) == {"pending", "success"},
        "the commit's status went from pending to success",
        " → ".join(states),
    )
    log = " ".join(line["text"] for line in stage.server.logs(ended.run.get("id", "")))
    say.check(
        "DELETE_FAILED" in log and len(cloud.calls("DeleteStack", f"preview-{MAIN}/")) == 2,
        "CloudFormation refused first (the bucket was full); it was emptied, and deleted again",
        log[-300:],
    )
    left = cloud.left(MAIN)
    say.check(left.nothing, "the account contains no stack, bucket or upload of it", str(left))
    neighbour = cloud.left(170)
    say.check(neighbour.stack and neighbour.uploads == 3, "preview 170 is untouched", str(neighbour))
    say.check(
        bool(url) and "signature=" in url, "Details leads to the run's page, by a signed link", str(url)
    )


def unsigned(stage: Stage) -> None:
    """Send a request without a signature, and one with a wrong one: both are refused."""
    say = stage.narrator
    say.scene("2  Somebody else calls the webhook, without a signature")
    body = encode(pull_request(number=MAIN))
    headers = signed_headers("pull_request", body, "guessed", "not-from-github")
    unsigned_headers = {key: value for key, value in headers.items() if not key.startswith("X-Hub-Signature")}
    before = len(stage.server.runs())
    for name, sent in (("none", unsigned_headers), ("wrong", headers)):
        answer = stage.server.post(body, sent)
        say.tell("closeout", f"signature {name}: {answer.status} {answer.text}")
        say.check(
            answer.status == 401 and answer.json["message"] == "Unauthorized request",
            f"signature {name} → 401 Unauthorized request",
            f"{answer.status} {answer.text}",
        )
    say.check(len(stage.server.runs()) == before, "nothing was started", f"{len(stage.server.runs())} runs")


def duplicate(stage: Stage) -> None:
    """Send the same delivery again: it starts nothing."""
    say = stage.narrator
    say.scene("3  GitHub sends the same delivery again")
    first = stage.github.delivery(MAIN)
    runs = stage.server.runs()
    say.tell("github", f"somebody presses Redeliver: the same GUID {first['guid']}")
    again = stage.github.redeliver(MAIN)
    answer = again["response"]["payload"]
    say.tell("closeout", f"{again['status_code']} {answer}")
    original, said = json.loads(first["response"]["payload"]), json.loads(answer)
    same = again["redelivery"] and again["guid"] == first["guid"] and said.get("runs") == original["runs"]
    say.check(
        bool(same) and again["status_code"] == 200 and said.get("duplicate") is True,
        "200 duplicate, with the run that it had started the first time",
        answer,
    )
    say.check(stage.server.runs() == runs, "nothing runs twice", f"{len(stage.server.runs())} runs")


def into_main(stage: Stage) -> None:
    """Close a pull request into a branch that was its only base: nothing is deleted, and the reason can be read."""
    say = stage.narrator
    say.scene(f"4  Pull request #{INTO_MAIN} into main closes")
    sha = stage.github.open(INTO_MAIN, base="main")
    stage.cloud.deploy(INTO_MAIN)
    ended = close_pull_request(stage, INTO_MAIN, sha).until_the_end()
    say.check(
        ended.verdict == "skipped" and not ended.statuses,
        "the run asked GitHub for earlier bases, and was skipped without a status",
        ended.summary(),
    )
    summary = str(ended.run.get("summary"))
    say.check("main" in summary, "the reason names the branch", summary)
    listed = [run["id"] for run in stage.server.runs()]
    say.check(ended.run.get("id") not in listed, "lists of runs leave it out", str(listed))
    left = stage.cloud.left(INTO_MAIN)
    say.check(left.stack and left.uploads == 3, "its preview is untouched", str(left))


def reopened(stage: Stage) -> None:
    """Reopen a pull request while its teardown waits: nothing more is deleted."""
    say = stage.narrator
    say.scene(f"5  Pull request #{BUSY} is reopened while its teardown waits")
    sha = stage.github.open(BUSY)
    stage.cloud.deploy(BUSY)
    stage.cloud.busy(BUSY, seconds=2.0)
    say.tell("aws", f"stack preview-{BUSY} is UPDATE_IN_PROGRESS: a deploy is running")
    follower = close_pull_request(stage, BUSY, sha)
    follower.until(lambda seen: seen.run["state"] == "waiting")
    say.tell("github", f"#{BUSY} is reopened")
    stage.github.reopen(BUSY)
    ended = follower.until_the_end()
    left = stage.cloud.left(BUSY)
    say.check(left.stack and left.bucket and left.uploads == 3, "nothing was deleted", str(left))
    say.check(
        not stage.cloud.calls("DeleteStack", f"preview-{BUSY}/"),
        "CloudFormation was never asked to delete it",
        "DeleteStack was called",
    )
    say.check(
        ended.verdict == "cancelled" and ended.last["state"] == "success",
        "the run cancelled itself, and the status says so",
        ended.summary(),
    )


def stuck(stage: Stage) -> None:
    """Close one whose resource cannot be deleted: the run fails, and names it."""
    say = stage.narrator
    say.scene(f"6  Pull request #{STUCK} closes, and something of it cannot be deleted")
    sha = stage.github.open(STUCK)
    stage.cloud.deploy(STUCK, role=True)
    stage.cloud.undeletable_role(STUCK)
    ended = close_pull_request(stage, STUCK, sha).until_the_end()
    say.check(
        ended.verdict == "failure" and ended.last["state"] == "failure",
        "the run and the commit's status say failure",
        ended.summary(),
    )
    steps = [step for step in ended.run["steps"] if step["id"] == "stack"]
    summary = json.dumps(steps) + str(ended.run.get("summary"))
    say.check(
        f"preview-{STUCK}-role" in summary and "must detach all policies" in summary,
        "it names what is left, and why",
        summary,
    )
    left = stage.cloud.left(STUCK)
    say.check(left.uploads == 0, "the other step was carried out", str(left))


def killed(stage: Stage) -> None:
    """Kill the server in the middle of a run: the run still succeeds."""
    say, server = stage.narrator, stage.server
    say.scene(f"7  kill -9 in the middle of the teardown of #{KILLED}")
    sha = stage.github.open(KILLED)
    stage.cloud.deploy(KILLED)
    stage.cloud.delete_takes(2.0)
    follower = close_pull_request(stage, KILLED, sha)
    follower.until(lambda _: len(stage.cloud.calls("DeleteStack", f"preview-{KILLED}/")) >= 1)
    follower.until(lambda seen: seen.run["state"] == "waiting")
    before = server.operations(str(follower.ended.run.get("id")))
    pid = server.kill()
    say.tell("closeout", f"pid {pid} is gone; {len(before)} operations of the run were finished")
    seconds = server.start()
    say.tell("closeout", f"started again as pid {server.pid}, listening after {seconds:.2f} s")
    ended = follower.until_the_end()
    after = server.operations(str(ended.run.get("id")))
    say.check(ended.verdict == "success", "the run finished in success", ended.summary())
    say.check(
        bool(before) and all(after.get(name) == seen for name, seen in before.items()),
        "no finished operation was repeated: each has its first result and its first time",
        f"{before} → {after}",
    )
    asked = stage.cloud.calls("DeleteStack", f"preview-{KILLED}/")
    tokens = {one["params"].get("ClientRequestToken") for one in asked}
    say.check(len(asked) == 2 == len(tokens), "two deletes were requested, each once", f"{len(asked)} calls")
    left = stage.cloud.left(KILLED)
    say.check(left.nothing, "the account contains nothing of it", str(left))


def untold(stage: Stage) -> None:
    """Close a pull request while the server is off: the delivery is lost, and its preview is deleted all the same."""
    say, server = stage.narrator, stage.server
    say.scene(f"8  The server is off while #{UNTOLD} closes")
    sha = stage.github.open(UNTOLD)
    stage.cloud.deploy(UNTOLD)
    stage.cloud.delete_takes(0.2)
    pid = server.kill()
    say.tell("closeout", f"pid {pid} is gone")
    delivery = stage.github.close(UNTOLD)
    say.tell("github", f"#{UNTOLD} is closed; delivery {delivery['guid']}: {delivery['status']}")
    say.check(
        delivery["status_code"] == 0,
        "GitHub could not deliver it, and will not try again",
        delivery["status"],
    )
    seconds = server.start()
    say.tell(
        "closeout",
        f"started as pid {server.pid}, listening after {seconds:.2f} s; it asks GitHub what it missed",
    )
    found = server.wait_for_run(UNTOLD)
    ended = Follower(stage, found["id"], sha).until_the_end()
    say.check(
        ended.verdict == "success", "patrol found the closing, and the run ended in success", ended.summary()
    )
    heard = found.get("heard")
    say.check(
        heard in ("delivery-log", "closed-list"),
        f"the run says how closeout learned of it: {heard}",
        str(heard),
    )
    left = stage.cloud.left(UNTOLD)
    say.check(left.nothing, "the account contains nothing of it", str(left))


SCENES = (main_job, unsigned, duplicate, into_main, reopened, stuck, killed, untold)
