"""From a pull request's close to `pending` on its commit, over the deployed stack on the emulated account.

    python -m bench.pending [--rounds N]

Cold: the processes of all functions are ended before the close, so that receiver and worker both start. Warm: they
are there. The times are the emulator's and this machine's; what counts is how the two compare and what a start costs.
"""

import argparse
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.aws.world import World

CONFIG = """\
version: 1
github: { api-url: env:GITHUB_API }
automations:
  say-so:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    steps:
      - uses: github/comment
        with: { body: 'closed' }
"""
REPOSITORY = "acme/shop"
LONGEST = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pending", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="closes of each kind")
    options = parser.parse_args()
    print(report(measure(options.rounds)))
    return 0


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds from the close to `answered` and to `pending`, cold and warm."""
    times: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="closeout-bench-") as folder,
        World(Path(folder), CONFIG) as world,
    ):
        world.add_repository(REPOSITORY)
        for number in range(1, 2 * rounds + 1):
            kind = "warm" if number % 2 == 0 else "cold"
            sha = world.open(number, repository=REPOSITORY)
            world.github.sender.settle()
            if kind == "cold":
                _end_functions(world.cloud.pid)
            began = time.perf_counter()
            world.close(number, repository=REPOSITORY)
            times.setdefault(f"{kind}: answered", []).append((time.perf_counter() - began) * 1000)
            while not world.statuses(sha, repository=REPOSITORY):
                if time.perf_counter() - began > LONGEST:
                    raise TimeoutError(f"no status within {LONGEST:g} s\n{world.cloud.last_words(20)}")
                time.sleep(0.005)
            times.setdefault(f"{kind}: pending", []).append((time.perf_counter() - began) * 1000)
            _ended(world, sha)
    return times


def _ended(world: World, sha: str) -> None:
    """Wait for the run's end: the next close is to find nothing at work."""
    world.until(
        lambda: world.statuses(sha, repository=REPOSITORY), lambda seen: seen[-1]["state"] != "pending"
    )


def _end_functions(emulator: int) -> None:
    """End the processes in which the emulator runs functions."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == emulator:
                os.kill(int(entry.name), signal.SIGKILL)
    time.sleep(0.3)


def report(times: dict[str, list[float]]) -> str:
    """Return the table."""
    lines = ["| from close, ms (median) | answered | `pending` on the commit |", "| --- | ---: | ---: |"]
    for kind in ("cold", "warm"):
        row = [statistics.median(times[f"{kind}: {what}"]) for what in ("answered", "pending")]
        lines.append(f"| {kind} | {row[0]:,.0f} | {row[1]:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
