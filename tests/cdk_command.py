"""The CDK's command line as a process that leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

CDK = Path(__file__).resolve().parents[1] / "cdk/node_modules/.bin/cdk"


def run_cdk(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
) -> tuple[int, str]:
    """Run `cdk` in a folder; return its exit code and all that it printed. Raises `subprocess.TimeoutExpired`."""
    process = subprocess.Popen(
        [str(CDK), *arguments, "--no-notices", "--no-version-reporting"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=seconds)
    except BaseException:
        # Its own group: the CDK starts the app, and the app pip, and none of them is to outlive us.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return process.returncode, text
