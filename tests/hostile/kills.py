"""`kill -9` again and again: nobody who is innocent fails, and whoever ends the process fails, alone.

    python -m tests.hostile.kills --kills 1000 --runs 6000 --seed 1
    python -m tests.hostile.kills --poison [--turn 15] [--innocent 600]

The first kills a real engine process at random moments under a load of runs that are spread over all its lives, and holds
the ledger against a journal of every effect. The second puts a `python` step that ends the server beside an innocent
script, on a real `closeout serve`.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from closeout.ledger.sqlite import Views
from closeout.testing.deliveries import pull_request, signed_headers
from tests.acceptance.engine_process import OPERATIONS
from tests.acceptance.machine import SECRET
from tests.acceptance.machine import Machine as Server
from tests.acceptance.test_engine_crash import Machine

SHORTEST, LONGEST = 0.02, 0.25
"""Seconds of a process's life, from when it is ready to its death."""


def run(kills: int, runs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Kill a process `kills` times while `runs` runs are accepted and run. Gives figures; `broken` says what must not be."""
    chance = random.Random(seed)
    machine = Machine(folder)
    begun, sent, broken = time.monotonic(), 0, []
    slowest = 0.0
    try:
        for life in range(1, kills + 1):
            before = machine.journal.stat().st_size if machine.journal.exists() else 0
            recorded = machine.recorded() if life % 25 == 0 else {}
            started = time.monotonic()
            machine.start()
            slowest = max(slowest, time.monotonic() - started)
            death = time.monotonic() + chance.uniform(SHORTEST, LONGEST)
            while sent < runs * life // kills:
                machine.accept(f"run{sent}", chance.choice(["-", "pr-1", "pr-2"]))
                sent += 1
                time.sleep(0.002)
            time.sleep(max(0.0, death - time.monotonic()))
            machine.kill()
            again = [each for each in machine.effects(before) if each[1] in recorded.get(each[0], ())]
            broken += [f"{name} of {each} was called again after it was recorded" for each, name in again]
        died = round(time.monotonic() - begun, 1)
        machine.start()
        _until_all_end(machine.ledger, len(machine.acknowledged))
        verdicts = machine.wait_for_end(60.0)
    finally:
        machine.close()
    called = Counter(machine.effects())
    broken += [
        f"{each} ended without {name}"
        for each in verdicts
        for name in OPERATIONS
        if (each, name) not in called
    ]
    return {
        "kills": kills,
        "acknowledged": len(machine.acknowledged),
        "verdicts": dict(Counter(verdicts[each] for each in machine.acknowledged)),
        "failures": machine.summaries("failure"),
        "cut_off_and_repeated": sum(count - 1 for (_, name), count in called.items() if name != "gone"),
        "slowest_start_s": round(slowest, 2),
        "last_death_s": died,
        "seconds": round(time.monotonic() - begun, 1),
        "broken": broken,
    }


def _until_all_end(ledger: Path, runs: int, still: float = 120.0) -> None:
    """Wait until all runs have finished; fail when none did for `still` seconds."""
    views, ended, moved = Views(ledger), -1, time.monotonic()
    try:
        while ended < runs:
            time.sleep(0.5)
            now = sum(views.stats()["runs_by_verdict"].values())
            if now > ended:
                ended, moved = now, time.monotonic()
            assert time.monotonic() - moved < still, f"{ended} of {runs} have finished, and no more do"
    finally:
        views.close()


CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
modules: [steps]
automations:
  poison:
    on: { pull_request: { types: [closed], branches: [poison] } }
    repositories: [acme/shop]
    status: false
    steps:
      - uses: python
        destructive: false
        with: { function: 'steps:end_the_process' }
  innocent:
    on: { pull_request: { types: [closed], branches: [innocent] } }
    repositories: [acme/shop]
    status: false
    steps:
      - uses: shell
        destructive: false
        with: { run: 'echo "$CLOSEOUT_ATTEMPT" >> attempts; sleep SECONDS' }
"""
STEPS = """\
import os, signal, time

def end_the_process(context):
    time.sleep({after})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def poison(folder: Path, *, innocent: float = 600.0, after: float = 0.5) -> dict[str, Any]:
    """Put a step that ends the server `after` seconds after it begins beside a script that takes `innocent` seconds."""
    (folder / "steps.py").write_text(STEPS.format(after=after), "utf-8")
    nowhere: Any = SimpleNamespace(url="http://127.0.0.1:9", token="none")
    server = Server(folder, nowhere, nowhere, CONFIG.replace("SECONDS", f"{innocent:g}"))
    begun, deaths = time.monotonic(), 0
    failed_after = None
    server.start()
    try:
        for name in ("innocent", "poison"):
            _deliver(server.port, name)
        while True:
            states = {run["automation"]: run for run in server.finished(0)}
            if failed_after is None and states["poison"]["verdict"]:
                failed_after = round(time.monotonic() - begun, 1)
            if all(run["verdict"] for run in states.values()):
                break
            assert server.server is not None
            if server.server.poll() is not None:
                assert server.server.returncode == -signal.SIGKILL
                deaths += 1
                server.start()
            time.sleep(0.05)
        return {
            "verdicts": {name: run["verdict"] for name, run in states.items()},
            "said": states["poison"]["steps"][0]["reason"],
            "deaths": deaths,
            "poison_failed_after_s": failed_after,
            "innocent_began": len((folder / "attempts").read_text("utf-8").split()),
            "seconds": round(time.monotonic() - begun, 1),
        }
    finally:
        if server.server is not None:
            server.kill()


def _deliver(port: int, branch: str) -> None:
    import http.client

    body = json.dumps(pull_request("closed", base=branch)).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/webhook", body, signed_headers("pull_request", body, SECRET, guid=branch))
    assert connection.getresponse().status == 202
    connection.close()


def main() -> int:
    """Print the figures as JSON; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=6_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--poison", action="store_true", help="a poison beside an innocent script, in real time"
    )
    parser.add_argument(
        "--innocent", type=float, default=600.0, help="seconds that the innocent script takes"
    )
    parser.add_argument("--after", type=float, default=0.5, help="seconds after which the poison kills")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="closeout-kills-") as name:
        folder = Path(name)
        if chosen.poison:
            figures = poison(folder, innocent=chosen.innocent, after=chosen.after)
            good = figures["verdicts"] == {"poison": "failure", "innocent": "success"}
        else:
            figures = run(chosen.kills, chosen.runs, chosen.seed, folder)
            good = not figures["broken"] and set(figures["verdicts"]) == {"success"}
    json.dump(figures, sys.stdout, indent=1)
    print()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
