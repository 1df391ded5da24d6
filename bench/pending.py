"""From a pull request's close to `pending` on its commit, over the deployed stack on the emulated account.

    python -m bench.pending [--rounds N] [--against COMMIT]

Cold: the processes of all functions are ended before the close, so that receiver and worker both start. Warm: they
are there. The times are the emulator's and this machine's; what counts is how the two compare and what a start costs.

Run as root, each close is measured before all other processes of the machine. With `--against` the stack of another commit is measured in the same run, under the same emulator, in turn: two worlds of
each, one after the other. The processor's time is that of receiver and worker together, from the close to `pending`: on a
machine with other work to do, it says more than the clock.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.costs import PRICES
from bench.tools import ROOT
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
WORLDS = 2
"""Times that each stack is deployed and measured, in turn with the other."""
BEFORE = " of the commit before"
WARM_BUDGET, COLD_BUDGET, COLD_RATIO = 60.0, 700.0, 0.42
Times = dict[str, list[float]]


class Close(NamedTuple):
    """One close, in milliseconds from it; `processor` is what the functions have used until `pending`."""

    answered: float
    pending: float
    processor: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pending", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="closes of each kind in each world")
    parser.add_argument("--against", metavar="COMMIT", help="measure the stack of this commit as well")
    parser.add_argument("--keep", action="store_true", help="keep the figures in bench/results")
    options = parser.parse_args()
    times = measure(options.rounds, options.against)
    first = " before all other processes of the machine, as root," if os.geteuid() == 0 else ""
    before = f" in turn with the commit {options.against}" if options.against else ""
    about = f"Over the emulated account: {options.rounds} closes of each kind in each world,{first}{before}."
    text = f"# From a close to `pending` on AWS\n\n{about}\n\n"
    text += report(times)
    print(text)
    if options.keep:
        place = ROOT / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-pending"
        place.with_suffix(".md").write_text(text + "\n", "utf-8")
        place.with_suffix(".json").write_text(json.dumps(times, indent=1) + "\n", "utf-8")
    return 0


def measure(rounds: int, against: str | None = None) -> Times:
    """Return the milliseconds from the close to `answered` and to `pending`, cold and warm."""
    times: Times = {}
    with contextlib.ExitStack() as stack:
        sources = {"": ROOT}
        if against is not None:
            sources[BEFORE] = stack.enter_context(checked_out(against))
        for _ in range(WORLDS if against is not None else 1):
            for suffix, source in sources.items():
                for kind, close in _closes(source, rounds):
                    for what, value in close._asdict().items():
                        times.setdefault(f"{what}_{kind}_ms{suffix}", []).append(value)
    return times


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a worktree of a commit, with the environments that are installed here."""
    with tempfile.TemporaryDirectory(prefix="closeout-bench-") as folder:
        place = Path(folder, "before")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            for name in (".venv-aws", "cdk/node_modules", "cdk/.bundles"):
                (place / name).symlink_to(ROOT / name)
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def _closes(source: Path, rounds: int) -> Iterator[tuple[str, Close]]:
    """Deploy a stack; yield closes, cold and warm in turn. The first two, which warm the file cache, are not told."""
    with (
        tempfile.TemporaryDirectory(prefix="closeout-bench-") as folder,
        World(Path(folder), CONFIG, source=source) as world,
    ):
        world.add_repository(REPOSITORY)
        for number in range(1, 2 * rounds + 3):
            kind = "warm" if number % 2 == 0 else "cold"
            close = _close(world, number, cold=kind == "cold")
            if number > 2:
                yield kind, close


def _close(world: World, number: int, *, cold: bool) -> Close:
    sha = world.open(number, repository=REPOSITORY)
    world.github.sender.settle()
    if cold:
        _end_functions(world.cloud.pid)
        _settle(world.cloud.pid)
    before = dict(_functions(world.cloud.pid))
    with _before_others(world.cloud.pid):
        began = time.perf_counter()
        world.close(number, repository=REPOSITORY)
        answered = time.perf_counter() - began
        while not world.statuses(sha, repository=REPOSITORY):
            if time.perf_counter() - began > LONGEST:
                raise TimeoutError(f"no status within {LONGEST:g} s\n{world.cloud.last_output(20)}")
            time.sleep(0.002)
        pending = time.perf_counter() - began
    used = sum(seconds - before.get(one, 0.0) for one, seconds in _functions(world.cloud.pid))
    # Wait for the run's end: the next close is to find nothing at work.
    world.until(
        lambda: world.statuses(sha, repository=REPOSITORY), lambda seen: seen[-1]["state"] != "pending"
    )
    _settle(world.cloud.pid)
    return Close(answered * 1000, pending * 1000, used * 1000)


@contextlib.contextmanager
def _before_others(emulator: int) -> Iterator[None]:
    """As root: let this process and the emulator with its functions run before all other processes."""
    _schedule(emulator, os.SCHED_RR, 1)
    try:
        yield
    finally:
        _schedule(emulator, os.SCHED_OTHER, 0)


def _schedule(emulator: int, policy: int, priority: int) -> None:
    """Set the policy of all threads; those that they start inherit it."""
    for process in (os.getpid(), emulator, *(one for one, _ in _functions(emulator))):
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))


def _functions(emulator: int) -> Iterator[tuple[int, float]]:
    """Yield the processes in which the emulator runs functions, and the seconds of a processor that each has used."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == emulator:
                yield int(entry.name), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _settle(emulator: int) -> None:
    """Wait until no function has work left: the worker tells Lambda of the end after it has posted the last status."""
    until = time.monotonic() + LONGEST
    used = None
    while used != (now := dict(_functions(emulator))) and time.monotonic() < until:
        used = now
        time.sleep(1.0)


def _end_functions(emulator: int) -> None:
    """End the processes in which the emulator runs functions."""
    for process, _ in _functions(emulator):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


MEMORY = (256, 512, 1024, 1769, 3008)
ONE_PROCESSOR = 1769
"""Megabytes at which a function has one processor: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""


def memory(times: Times) -> str:
    """Return what sizes of memory would take and cost, by calculation: nothing ran on Lambda.

    The share of a processor grows with the memory. The processor's time is divided by that share; the rest, which is
    waiting, stays. Nobody uses more than one processor before `pending`.
    """
    pending, busy = (statistics.median(times[f"{what}_cold_ms"]) for what in ("pending", "processor"))
    busy = min(busy, pending)
    lines = [
        "| memory, MB | close to `pending`, cold, ms | 1,000 such starts, USD |",
        "| ---: | ---: | ---: |",
    ]
    for size in MEMORY:
        taken = pending - busy + busy / min(1.0, size / ONE_PROCESSOR)
        price = PRICES["Lambda time"].each * size / 1024 * taken
        lines.append(f"| {size:,} | {taken:,.0f} | {price:.4f} |")
    return "\n".join(lines)


def report(times: Times) -> str:
    """Return the table, and whether the budget holds."""
    lines = [
        "| from close, ms (median) | answered | `pending` on the commit | processor time until then |",
        "| --- | ---: | ---: | ---: |",
    ]
    middle = {key: statistics.median(values) for key, values in times.items()}
    for suffix in ("", BEFORE):
        for kind in ("cold", "warm"):
            if f"pending_{kind}_ms{suffix}" in middle:
                row = [middle[f"{what}_{kind}_ms{suffix}"] for what in Close._fields]
                lines.append(f"| {kind}{suffix} | {row[0]:,.0f} | {row[1]:,.0f} | {row[2]:,.0f} |")
    calculated = (
        "By calculation, not measured on Lambda: the processor's time of receiver and worker divided by the share that"
        f" Lambda gives (one processor at {ONE_PROCESSOR:,} MB), the waiting as measured here, at the price of arm64. The"
        " stack gives both functions 1,024 MB."
    )
    return "\n\n".join(("\n".join(lines), budget(times), calculated, memory(times)))


def budget(times: Times) -> str:
    """Return a sentence that says whether the budget of `pending` holds."""
    cold, warm = (statistics.median(times[f"pending_{kind}_ms"]) for kind in ("cold", "warm"))
    text = f"Budget from close to `pending`, cold < {COLD_BUDGET:g} ms: {cold:,.0f} ms, {_holds(cold < COLD_BUDGET)};"
    text += f" warm < {WARM_BUDGET:g} ms: {warm:,.0f} ms, {_holds(warm < WARM_BUDGET)}."
    before = times.get(f"pending_cold_ms{BEFORE}")
    if before is not None:
        ratio = cold / statistics.median(before)
        text += f" At most {COLD_RATIO:g} × the commit before, cold: {ratio:.2f} ×, {_holds(ratio <= COLD_RATIO)}."
    return text


def _holds(held: bool) -> str:
    return "holds" if held else "**does not hold**"


if __name__ == "__main__":
    sys.exit(main())
