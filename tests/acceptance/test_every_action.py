"""Every registered action in a real run of a real server: planned, guarded, applied, verified, and reported.

The unit tests of an action hand it a `Work` of their own; only here does it meet the run function, whose operation
names, guards and clients are those of production.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from closeout.actions.registry import builtin
from closeout.testing.aws import FakeAws
from tests.acceptance.machine import CONFIG, REPOSITORY, Machine, machine

STEPS = """\
automations:
  everything:
    on:
      pull_request: { types: [closed], branches: [develop] }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}', empty-buckets: true }
      - uses: aws/s3-delete-objects
        with: { bucket: acme-previews, prefix: 'shop/${{ event.pull_request.number }}/' }
      - uses: aws/codebuild-start-build
        with: { project: preview-teardown, environment: { PULL_REQUEST: '${{ event.pull_request.number }}' } }
      - uses: github/dispatch-workflow
        with:
          repository: acme/infrastructure
          workflow: teardown.yml
          ref: main
          inputs: { preview: 'shop-${{ event.pull_request.number }}' }
          trace-input: closeout_run
      - uses: github/comment
        with: { body: 'The preview of #${{ event.pull_request.number }} is gone.' }
      - uses: http/request
        with: { method: DELETE, url: 'HOST/shop/${{ event.pull_request.number }}', expect: [204] }
      - uses: shell
        with:
          run: echo "closing $NUMBER" && cp "$CLOSEOUT_EVENT_PATH" event.json
          env: { NUMBER: '${{ event.pull_request.number }}' }
      - uses: python
        with: { function: 'previews:forget', args: { number: '${{ event.pull_request.number }}' } }
"""
PYTHON = """\
def forget(context, number):
    context.log(f"forgetting {number} of {context.event['repository']['full_name']}")
    return {"forgotten": number}
"""


class Host(HTTPServer):
    """A host that takes requests and remembers them."""

    def __init__(self) -> None:
        seen: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_DELETE(self) -> None:
                seen.append((self.command, self.path))
                self.send_response(204)
                self.end_headers()

        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = seen
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


def world(scene: Machine) -> None:
    """Make what the eight steps act upon."""
    scene.preview()
    storage = scene.client("s3")
    storage.create_bucket(
        Bucket="acme-previews", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    for name in ("shop/17/a", "shop/17/b", "shop/171/kept"):
        storage.put_object(Bucket="acme-previews", Key=name, Body=b"x")
    scene.client("codebuild").create_project(
        name="preview-teardown",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::123456789012:role/service-role/build",
    )
    scene.github.world.add_repository("acme/infrastructure", private=True)
    scene.github.world.add_workflow(
        "acme/infrastructure",
        "teardown.yml",
        inputs=["preview", "closeout_run"],
        run_name="teardown {preview} {closeout_run}",
    )


def test_every_action_does_its_work_in_a_real_run(tmp_path: Path, cloud: FakeAws) -> None:
    """Eight steps, each a success; and each effect is really there."""
    host = Host()
    cloud.reset()
    config = CONFIG.partition("automations:")[0] + STEPS.replace(
        "HOST", f"http://127.0.0.1:{host.server_port}"
    )
    (tmp_path / "previews.py").write_text(PYTHON, encoding="utf-8")
    with machine(tmp_path, cloud, config) as scene:
        world(scene)
        sha = scene.open_pull()
        scene.github.world.change_pull(REPOSITORY, 17, "closed")
        (run,) = scene.finished()
        assert [(step["id"], step["state"], step["reason"]) for step in run["steps"]] == [
            (step["id"], "success", None) for step in run["steps"]
        ], scene.log()
        assert {step["uses"] for step in run["steps"]} == set(builtin()), "an action is missing in this run"
        assert run["verdict"] == "success"
        assert scene.statuses(sha)[-1][0] == "success"
        effects(scene, host, tmp_path)
    host.shutdown()
    host.server_close()


def effects(scene: Machine, host: Host, folder: Path) -> None:
    """Look for what each step was to do."""
    left = scene.client("s3").list_objects_v2(Bucket="acme-previews")["Contents"]
    assert [item["Key"] for item in left] == ["shop/171/kept"]
    builds = scene.client("codebuild")
    ids = builds.list_builds_for_project(projectName="preview-teardown")["ids"]
    assert [build["buildStatus"] for build in builds.batch_get_builds(ids=ids)["builds"]] == ["SUCCEEDED"]
    (dispatched,) = scene.github.world.repository("acme/infrastructure").runs.values()
    assert dispatched["conclusion"] == "success"
    ((comment,),) = scene.github.world.repository(REPOSITORY).comments.values()
    assert "The preview of #17 is gone." in comment["body"]
    assert host.seen == [("DELETE", "/shop/17")]
    assert json.loads((folder / "event.json").read_text("utf-8"))["number"] == 17
    log = scene.closeout("runs", "logs", scene.runs()[0]["id"], "--db", str(scene.db)).stdout
    assert "closing 17" in log
    assert "forgetting 17 of acme/shop" in log
