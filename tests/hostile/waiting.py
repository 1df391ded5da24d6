"""What waiting runs cost: a real server with thousands of paused runs, and its memory over the sweeps that try them.

    python -m tests.hostile.waiting --runs 10000

Deliveries of GitHub's size are signed and sent over HTTP; each starts a run that `closeout pause` holds at its only call.
A held run is tried again every half minute, so all of them are taken up again and again. Figures are in MB of resident
memory of the server's process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from closeout.ledger.sqlite import Views
from closeout.testing.deliveries import pull_request, signed_headers
from tests.acceptance.forked import closeout_executed
from tests.acceptance.machine import REPOSITORY, SECRET, Machine

CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
automations:
  note:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    status: false
    timeout: 6h
    steps:
      - uses: http/request
        destructive: false
        with: { url: 'http://127.0.0.1:9/never' }
"""
SENDERS = 8
AT_A_TIME = 500
"""Runs that are accepted before it is looked whether they wait."""


def run(runs: int, folder: Path, *, sweeps: float = 60.0, seconds: float = 1_800.0) -> dict[str, Any]:
    """Return the figures of one server with `runs` paused runs, watched for `sweeps` seconds once all of them wait."""
    nowhere: Any = SimpleNamespace(url="http://127.0.0.1:9", token="none")
    scene = Machine(folder, nowhere, nowhere, CONFIG)
    scene.main = closeout_executed
    scene.start()
    begun = time.monotonic()
    try:
        assert scene.server is not None
        process = scene.server.pid
        scene.closeout("pause", "--db", str(scene.db), "--reason", "a test")
        start = resident(process)
        for first in range(0, runs, AT_A_TIME):
            _deliver(scene.port, range(first, min(first + AT_A_TIME, runs)))
            _until_waiting(scene.db, min(first + AT_A_TIME, runs), begun + seconds)
        filled = resident(process)
        watched = _watch(process, sweeps)
        scene.stop()
        scene.start()
        assert scene.server is not None
        restarted = _watch(scene.server.pid, sweeps)
        return {
            "runs": runs,
            "seconds": round(time.monotonic() - begun, 1),
            "start_mb": start,
            "filled_mb": filled,
            "peak_mb": max(watched),
            "end_mb": watched[-1],
            "restarted_peak_mb": max(restarted),
            "restarted_end_mb": restarted[-1],
        }
    finally:
        if scene.server is not None:
            scene.kill()


def resident(process: int) -> float:
    """Return a process's resident memory in MB."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return round(int(line.split()[1]) / 1024, 1)


def _watch(process: int, seconds: float) -> list[float]:
    end = time.monotonic() + seconds
    seen = [resident(process)]
    while time.monotonic() < end:
        time.sleep(0.5)
        seen.append(resident(process))
    return seen


def _deliver(port: int, numbers: range) -> None:
    def send(part: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in part:
            body = json.dumps(
                pull_request("closed", repository=REPOSITORY, number=number + 1, full=True)
            ).encode()
            headers = signed_headers("pull_request", body, SECRET, guid=f"guid-{number}")
            connection.request("POST", "/webhook", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 202, answer.status
        connection.close()

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, (numbers[sender::SENDERS] for sender in range(SENDERS))))


def _until_waiting(db: Path, count: int, deadline: float) -> None:
    views = Views(db)
    try:
        while True:
            states = views.stats()["runs_by_state"]
            if states["waiting"] + states["running"] >= count and states["queued"] == 0:
                return
            assert time.monotonic() < deadline, states
            time.sleep(0.1)
    finally:
        views.close()


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description="memory of a server with thousands of paused runs")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument(
        "--sweeps", type=float, default=60.0, help="seconds for which it is watched (60: two sweeps)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="closeout-waiting-") as folder:
        json.dump(run(arguments.runs, Path(folder), sweeps=arguments.sweeps), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
