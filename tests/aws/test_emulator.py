"""The launcher of the emulated account: what it opens, what it leaves behind, and what functions find in it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from tests.aws.deployment import ROOT
from tests.aws.world import EMULATOR
from tests.emulator.launcher import ACCOUNT, Ministack

FUNCTION = """
import os, sys, importlib.util
def handler(event, context):
    names = ("closeout", "pytest", "boto3")
    return {"pid": os.getpid(), "found": [name for name in names if importlib.util.find_spec(name)],
            "variables": sorted(name for name in os.environ if name.startswith("CLOSEOUT_TEST"))}
"""


def listeners(pid: int) -> set[str]:
    """Return the addresses on which a process listens, from the kernel."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text("utf-8").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_listens_on_loopback_and_takes_its_functions_with_it(tmp_path: Path) -> None:
    """Nobody else reaches it; a function finds boto3 and its bundle alone, and ends with the emulator."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("index.py", FUNCTION)
    with Ministack(EMULATOR, tmp_path) as cloud:
        assert cloud.client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
        assert listeners(cloud.pid) == {"0100007F"}
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = cloud.client("iam").create_role(
            RoleName="function",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]
        client = cloud.client("lambda")
        client.create_function(
            FunctionName="function",
            Runtime="python3.13",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": archive.getvalue()},
        )
        said = json.loads(client.invoke(FunctionName="function")["Payload"].read())
        assert said["found"] == ["boto3"]
        assert said["variables"] == []
        assert alive(said["pid"])
        leader = cloud.pid
    deadline = time.monotonic() + 5
    while (alive(said["pid"]) or alive(leader)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(said["pid"])
    assert not alive(leader)


def test_a_demonstration_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGINT while it deploys: the emulator, the CDK and the folder are gone."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen(
        [sys.executable, "-m", "tests.aws.demo"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    told = ""
    while "bootstrap" not in told:
        line = demo.stdout.readline()
        assert line, told
        told += line
    time.sleep(2)
    demo.send_signal(signal.SIGINT)
    told += demo.communicate(timeout=30)[0]
    assert demo.returncode == 130, told
    assert "everything that was started has been ended" in told
    assert list(tmp_path.glob("closeout-demo-aws-*")) == []
    mine = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(tmp_path) in _command(entry)
    ]
    assert mine == []


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text("utf-8") + (process / "environ").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
