"""Two stacks in one account: each has names of its own, and one is destroyed while its runs wait."""

from __future__ import annotations

import json
import uuid

from closeout.stack.table import named_execution
from tests.aws.test_runs import close
from tests.aws.world import World

NAME = "the-second-team"
REPOSITORY, FIRSTS = "acme/second", "acme/patient"
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  patient:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/second]
    grace: 20m
    steps:
      - id: stack
        uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-second-${{ event.pull_request.number }}' }
"""


def test_two_stacks_stand_beside_each_other_and_one_is_destroyed_while_runs_wait(world: World) -> None:
    """What it had accepted ends with a status, it leaves nothing, and the other's run waits on."""
    folder = world.folder / "second"
    folder.mkdir()
    with World(folder, CONFIG, context={"stackName": NAME}, beside=world) as second:
        second.add_repository(REPOSITORY)
        world.make_stack("preview-91")
        world.open(91, repository=FIRSTS)
        firsts = close(world, FIRSTS, 91)

        second.make_stack("preview-second-92")
        sha = second.open(92, repository=REPOSITORY)
        waits = close(second, REPOSITORY, 92)
        sent = second.github.world.repository(REPOSITORY).deliveries
        payload = next(one["request"]["payload"] for one in sent if one["action"] == "closed")
        payload["pull_request"]["closed_at"] = "2026-03-14T10:00:00Z"  # another closing
        queued = second.deliver(payload, guid=str(uuid.uuid4())).json["runs"][0]
        world.until(lambda: world.run(firsts), lambda seen: seen["state"] == "waiting")
        second.until(lambda: second.run(waits), lambda seen: seen["state"] == "waiting")
        second.until(lambda: second.ledger.attempts.in_lambda(f"{queued}-1").arn, lambda arn: arn is not None)
        assert second.run(queued)["state"] == "queued"

        functions = world.cloud.client("lambda")
        arns = [
            world.ledger.attempts.in_lambda(f"{firsts}-1").arn,
            second.ledger.attempts.in_lambda(f"{waits}-1").arn,
        ]
        names = [
            functions.get_durable_execution(DurableExecutionArn=arn)["DurableExecutionName"] for arn in arns
        ]
        assert [named_execution(name) for name in names] == [f"{firsts}-1", f"{waits}-1"]
        assert names[0][:8] != names[1][:8]

        said = second.cdk.destroy()
        assert not world.has_stack(NAME), said.text
        ends = [one for one in second.statuses(sha, repository=REPOSITORY) if one["state"] != "pending"]
        # Each run once or twice: its event and its dead letter may be handled at the same moment.
        assert len(ends) in (2, 3, 4), ends
        assert {(one["state"], one["description"].partition(";")[0]) for one in ends} == {
            ("error", "the stack was removed")
        }
        assert second.has_stack("preview-second-92")
        assert left(world) == []

    assert world.run(firsts)["state"] == "waiting"
    world.cloud.skip(21 * 60)
    assert world.ended(firsts)["verdict"] == "success"


def left(world: World) -> list[str]:
    """What there still is of the second stack."""
    cloud = world.cloud
    found = {
        "functions": cloud.client("lambda").list_functions()["Functions"],
        "tables": cloud.client("dynamodb").list_tables()["TableNames"],
        "buckets": cloud.client("s3").list_buckets()["Buckets"],
        "roles": cloud.client("iam").list_roles()["Roles"],
        "groups": cloud.client("logs").describe_log_groups()["logGroups"],
        "secrets": cloud.client("secretsmanager").list_secrets()["SecretList"],
    }
    return [
        f"{kind}: {json.dumps(one, default=str)}"
        for kind, all_ in found.items()
        for one in all_
        if NAME in json.dumps(one, default=str)
    ]
