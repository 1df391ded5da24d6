"""The account that is asked: its clients, its stacks, and the CDK that deploys to it."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.cdk_command import run_cdk
from tests.live.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
TAG = "closeout-recording"
PREFIX = "closeout-rec-"
LOOK = 2.0
"""Seconds between two looks at something that takes its time."""
DEPLOYMENT = 1800.0


class Refused(Exception):
    """The recording does not begin, or cannot go on; the message is for whoever runs it."""


class Account:
    """One account and region, under a profile's credentials, with a recording of this name in it."""

    def __init__(self, profile: str | None, region: str, name: str, recorder: Recorder) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        if not name.startswith(PREFIX):
            raise Refused(f"The name of a recording begins with {PREFIX}.")
        self.region = region
        self.name = name
        self.emulated = "AWS_ENDPOINT_URL" in os.environ
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
            recorder.watch(self._session)
            self.client: Callable[[str], Any] = cache(self._session.client)
            found = self.client("sts").get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise Refused(
                f"AWS does not accept the credentials of profile {profile or 'default'}: {error}"
            ) from None
        self.number = str(found["Account"])
        self.who = str(found["Arn"])

    @property
    def stacks(self) -> tuple[str, ...]:
        """The names of the recording's stacks, in the order in which they can be deleted."""
        return self.name, f"{self.name}-probe", f"{self.name}-watch"

    def stack(self, name: str) -> dict[str, Any] | None:
        """Return a stack by name or id; None if AWS says that there is none, and any other error is raised."""
        from botocore.exceptions import ClientError

        try:
            found: list[dict[str, Any]] = self.client("cloudformation").describe_stacks(StackName=name)[
                "Stacks"
            ]
        except ClientError as error:
            said = error.response["Error"]
            if said["Code"] == "ValidationError" and "does not exist" in said["Message"]:
                return None
            raise
        return found[0] if found and found[0]["StackStatus"] != "DELETE_COMPLETE" else None

    def settled(self, name: str, patience: float) -> dict[str, Any] | None:
        """Wait until no operation is under way on a stack; return it as it is then, or when patience ends."""
        deadline = time.monotonic() + patience
        while True:
            stack = self.stack(name)
            if stack is None or not _busy(stack["StackStatus"]) or time.monotonic() > deadline:
                return stack
            time.sleep(0.2 if self.emulated else LOOK)

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Return a stack's resources."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return [one for page in pages.paginate(StackName=stack) for one in page["StackResourceSummaries"]]

    def outputs(self, stack: str) -> dict[str, str]:
        """Return a stack's outputs."""
        found = self.stack(stack)
        return {one["OutputKey"]: one["OutputValue"] for one in (found or {}).get("Outputs", ())}

    # --- the CDK --------------------------------------------------------------------------------------

    def deploy(self, folder: Path, what: str, context: Mapping[str, str]) -> tuple[int, str]:
        """Deploy closeout's stack (`own`) or the two beside it (`probe`); return the CDK's exit code and output."""
        given = {
            **self._parameters(),
            "recording:name": self.name,
            "recording:what": what,
            **context,
        }
        self._write_settings(folder)
        options = [word for key, value in given.items() for word in ("-c", f"{key}={value}")]
        return self._cdk(
            folder,
            *("deploy", "--all", "--require-approval", "never", "--output", f"cdk.out/{what}"),
            *options,
        )

    def _parameters(self) -> dict[str, str]:
        """Return closeout's own parameters; `cdk/recording.py` adds the stack's name."""
        here = ROOT / "tests/live"
        given = {
            "region": self.region,
            "configFile": str(here / "closeout.yaml"),
            "codePath": str(here / "code"),
            # The access log's role belongs to the whole account: a recording leaves it alone.
            "apiGatewayLogRole": "off",
        }
        if self.emulated:
            machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
            given |= {"architecture": machine, "bundlePlatform": "host"}
        return given

    def _write_settings(self, folder: Path) -> None:
        """Write a cdk.json with closeout's feature flags and none of its user's parameters."""
        settings = json.loads((ROOT / "cdk/cdk.json").read_text("utf-8"))
        app = f"{sys.executable} {ROOT / 'cdk/recording.py'}"
        (folder / "cdk.json").write_text(json.dumps({**settings, "app": app}), "utf-8")

    def _cdk(self, folder: Path, *arguments: str) -> tuple[int, str]:
        keys = self._session.get_credentials().get_frozen_credentials()
        dropped = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        environment |= {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            **({"AWS_SESSION_TOKEN": keys.token} if keys.token else {}),
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "CI": "true",
            "NO_COLOR": "1",
        }
        return run_cdk(arguments, folder, environment, DEPLOYMENT)


def _busy(status: str) -> bool:
    """Whether an operation is under way. A stack in REVIEW_IN_PROGRESS waits for a person."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
