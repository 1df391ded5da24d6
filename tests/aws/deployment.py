"""The CDK's own command line against the emulated account: bootstrap, deploy, diff, destroy, and its outputs.

The stack is deployed as a user deploys it, by `cdk deploy closed-pr-event-stack`; only the account is another.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from closeout.core.errors import Unavailable
from tests.cdk_command import run_cdk
from tests.emulator.launcher import Ministack

ROOT = Path(__file__).resolve().parents[2]
STACK = "closed-pr-event-stack"
PATIENCE = 300.0


class Said:
    """The output of one CDK command, and its exit code."""

    def __init__(self, code: int, text: str, seconds: float) -> None:
        self.code = code
        self.text = text
        self.seconds = seconds


class Cdk:
    """`cdk` in `cdk/`, for the machine that it runs on, with its output in a folder of its own.

    `context` are parameters as `-c key=value` takes them; `source` is the repository whose stack it is.
    """

    def __init__(
        self, cloud: Ministack, folder: Path, context: Mapping[str, str], *, source: Path = ROOT
    ) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "CLOSEOUT_", "GITHUB_", "CDK_"))
        }
        self._environment = {**kept, **cloud.environment(), "CI": "true", "NO_COLOR": "1"}
        self._source = source / "cdk"
        if source != ROOT:
            self._environment["PYTHONPATH"] = str(source / "src")  # before what its environment has installed
        self._cloud = cloud
        self._assembly = folder / "cdk.out"
        self._outputs = folder / "outputs.json"
        machine = platform.machine().lower()
        host = {
            "region": cloud.region,
            "architecture": "arm64" if machine in ("arm64", "aarch64") else "x86_64",
            "bundlePlatform": "host",
        }
        self.context = {**host, **context}
        self.stack = self.context.get("stackName", STACK)

    def bootstrap(self) -> Said:
        """Bootstrap the account for the CDK, outside of `cdk/`, where it would synthesize the template for nothing."""
        target = f"aws://{self._cloud.account}/{self._cloud.region}"
        return self._cdk(["bootstrap", target], self._assembly.parent)

    def deploy(self) -> dict[str, str]:
        """Deploy the stack; return its outputs. Raises `Unavailable` with the CDK's output."""
        self._run("deploy", self.stack, "--require-approval", "never", "--outputs-file", str(self._outputs))
        outputs: dict[str, str] = json.loads(self._outputs.read_text("utf-8"))[self.stack]
        return outputs

    def template(self) -> dict[str, Any]:
        """Synthesize, and return the template; nothing is deployed."""
        self._run("synth", self.stack, "--quiet")
        found: dict[str, Any] = json.loads(
            (self._assembly / f"{self.stack}.template.json").read_text("utf-8")
        )
        return found

    def diff(self) -> Said:
        """Compare what is deployed with what is here; exit code 1 if they differ."""
        return self._run("diff", self.stack, "--fail", check=False)

    def destroy(self) -> Said:
        """Remove the stack, as it was made last."""
        return self._cdk(
            ["destroy", self.stack, "--force", "--app", str(self._assembly)], self._assembly.parent
        )

    def bundle(self, holding: str) -> Path:
        """Return the folder of the deployed bundle that holds a file of this name at its top."""
        listed: dict[str, Any] = json.loads(
            (self._assembly / f"{self.stack}.assets.json").read_text("utf-8")
        )["files"]
        places = [self._assembly / one["source"]["path"] for one in listed.values()]
        found: Path
        (found,) = [place for place in places if (place / holding).is_file()]
        return found

    def _run(self, *arguments: str, check: bool = True) -> Said:
        options = [word for key, value in self.context.items() for word in ("-c", f"{key}={value}")]
        return self._cdk([*arguments, *options, "--output", str(self._assembly)], self._source, check=check)

    def _cdk(self, arguments: list[str], folder: Path, *, check: bool = True) -> Said:
        began = time.monotonic()
        code, text = run_cdk(arguments, folder, self._environment, PATIENCE)
        said = Said(code, text, time.monotonic() - began)
        if check and said.code != 0:
            last = "\n".join(said.text.splitlines()[-25:])
            raise Unavailable(
                f"cdk {arguments[0]} ended with {said.code}:\n{last}\nThe emulator said:\n{self._cloud.last_output()}"
            )
        return said
