"""The tutorial works as it is written: its commands are run in a shell, one after the other, against the fakes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from closeout.testing import deliveries
from closeout.testing.aws import FakeAws
from tests.docs.pages import ROOT, Block, blocks

TUTORIAL = ROOT / "docs/tutorial/first-teardown.md"
PORTS = ("5600", "5601", "8080")
PRELUDE = """\
set -eu
trap 'kill $(jobs -p) 2>/dev/null' EXIT
until_said() {
  for _ in $(seq 200); do grep -q "$2" "$1" 2>/dev/null && return; sleep 0.1; done
  echo "$1 never said $2"; cat "$1"; exit 1
}
newest_run() {
  closeout runs list --json | python -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])'
}
"""
WAITS = {
    "closeout.testing.github": "until_said aws.log http; until_said github.log http\n",
    "closeout serve": "until_said serve.log 'listens on'\n",
}
"""What a person does by being slow: wait until what was started in the background is up."""


def free_ports(count: int) -> list[str]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def script() -> str:
    """The page's commands as one script, on free ports and with the run's id in the place of RUN."""
    shown = [block for block in blocks() if block.page == TUTORIAL and block.language == "sh"]
    parts = [PRELUDE]
    for block in shown:
        if block.note != "skip":
            parts += [block.text, *(wait for text, wait in WAITS.items() if text in block.text)]
    text = "".join(parts)
    # In one pass: a free port may hold the digits of another one of the page's.
    free = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    text = re.sub("|".join(PORTS), lambda port: free[port[0]], text)
    return text.replace(" RUN", ' "$(newest_run)"')


def environment(folder: Path) -> dict[str, str]:
    """The environment of somebody who has activated the virtual environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS", "CLOSEOUT"))}
    tools = folder / "tools"
    tools.mkdir()
    for name, module in (("closeout", "-m closeout "), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n', encoding="utf-8")
        tool.chmod(0o755)
    return {
        **kept,
        "PATH": f"{tools}:{kept.get('PATH', '')}",
        "PYTHONPATH": str(ROOT / "src"),
        "COLUMNS": "200",
    }


@pytest.mark.slow
def test_the_tutorial_tears_down_a_preview(tmp_path: Path) -> None:
    """Pasted from top to bottom, it ends with a stack that is gone, a green status, and a delivery explained."""
    process = subprocess.Popen(
        ["/bin/bash", "-c", script()],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        pytest.fail(f"it did not end:\n{said}")
    assert process.returncode == 0, said
    for expected in (
        "closeout.yaml: fine.",
        "closeout listens on http://127.0.0.1:",
        "preview-cleanup: would run",
        "delete stack preview-17",
        "success: deleted stack preview-17 (2 resources), after emptying preview-17-site (2 versions)",
        '"state": "success"',
        "repository 'sample/never-matches' matches none of acme/shop",
    ):
        assert expected in said, said
    assert "full_name" not in said, "the stand-in's answers are thrown away"


def readme_configuration() -> Block:
    """The first configuration of the README."""
    return next(block for block in blocks() if block.page == ROOT / "README.md" and block.language == "yaml")


def test_the_readmes_configuration_plans_the_preview_of_a_closed_pull_request(tmp_path: Path) -> None:
    """With #17 closed, `closeout plan` on the ten lines lists stack and bucket of preview 17."""
    (tmp_path / "closeout.yaml").write_text(readme_configuration().text, encoding="utf-8")
    (tmp_path / "closed.json").write_bytes(deliveries.encode(deliveries.pull_request()))
    with FakeAws() as aws:
        variables = {
            **environment(tmp_path),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "CLOSEOUT_GITHUB_TOKEN": "not-used-by-a-plan",
        }
        boto3.client(
            "cloudformation",
            endpoint_url=aws.url,
            region_name="eu-central-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        ).create_stack(
            StackName="preview-17",
            TemplateBody=json.dumps({"Resources": {"Site": {"Type": "AWS::S3::Bucket"}}}),
        )
        done = subprocess.run(
            ["closeout", "plan", "--event", "pull_request", "--payload", "closed.json", "--json"],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)["automations"][0]["steps"][0]["changes"]
    assert changes[0]["resource"] == "stack preview-17"
    assert [change["verb"] for change in changes] == ["delete", "delete"]
