"""`make bench-cold`: how long GitHub waits for a receiver on AWS that has just been started, compared with others.

    python -m bench.cold [--rounds N] [--only-starts] [--keep]

Each round starts every receiver anew under AWS's own runtime client, one after the other, so that a slow minute hits
all of them. AWS itself is a stub over HTTPS that answers at once: what is measured is the receiver, not an emulator.
Times count from the start of the process; what Lambda adds before that (sandbox, code) is the same for all.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import pending
from bench.cold_peers import ABOUT, BOTO, EMPTY, EMPTY_NODE, NODE, SECRET, Receiver, receivers
from closeout.testing import deliveries
from tests.emulator import certificate
from tests.emulator.runtime_api import RuntimeApi

HERE = Path(__file__).resolve().parent
PATIENCE = 30.0
"""Seconds in all that starts wait for the machine to be idle."""
OF_BOTO, OF_EMPTY = 0.4, 2.5
"""The budget: how long the first answer may take, compared with the boto3 receiver and the empty handler in the same run."""
Times = dict[str, list[float]]


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder, before_others() as first:
        times, notes = measure(Path(folder), options.rounds)
    others = (
        "before all other processes of the machine, as root" if first else "in turn with all other processes"
    )
    notes.append(f"The starts ran {others}.")
    text = report(times, options.rounds, notes)
    if not options.only_starts:
        deployed = pending.measure(max(3, options.rounds // 4), options.against)
        text += f"\n\n{pending.report(deployed)}\n\nOver the stack on the emulated account of this machine."
        times |= deployed
    print(text)
    if options.keep:
        place = HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-cold"
        place.with_suffix(".md").write_text(text + "\n", "utf-8")
        place.with_suffix(".json").write_text(json.dumps(times, indent=1) + "\n", "utf-8")
        print(f"kept in bench/results/{place.name}.md")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-cold ARGS=…", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="cold starts of each")
    parser.add_argument(
        "--only-starts", action="store_true", help="without deploying the stack to the emulator"
    )
    parser.add_argument("--against", metavar="COMMIT", help="deploy the stack of this commit as well")
    parser.add_argument("--keep", action="store_true", help="keep the figures in bench/results")
    return parser.parse_args()


def measure(folder: Path, rounds: int) -> tuple[Times, list[str]]:
    """Return the milliseconds of each start, by `receiver: what`, and sentences about what is not measured."""
    made = certificate.make(folder)
    command = [sys.executable, str(HERE / "cold_aws.py"), str(made.certificate), str(made.key), SECRET]
    stub = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert stub.stdout is not None
        url = f"https://127.0.0.1:{stub.stdout.readline().strip()}"
        found, notes = receivers(folder, url, made)
        times: Times = {}
        quiet = Quiet()
        for number in range(rounds + 1):
            for name, receiver in found.items():
                for what, event in _events(number).items():
                    quiet.wait()
                    taken = _start(receiver, event)
                    if number:  # the first round warms the file cache
                        for part, milliseconds in zip(("ready", what), taken, strict=True):
                            times.setdefault(f"{name}: {part}", []).append(milliseconds)
            print(f"round {number}/{rounds}", file=sys.stderr)
        if quiet.missed:
            notes.append(f"{quiet.missed} of the starts were on a machine that had other work to do as well.")
        return times, notes
    finally:
        stub.terminate()
        stub.wait(10)


@contextlib.contextmanager
def before_others() -> Iterator[bool]:
    """As root: let this process, and those that it starts, run before all others; yield whether they do."""
    usual = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, usual, os.sched_param(0))


class Quiet:
    """Waits for an idle machine, `PATIENCE` in all; `missed` counts the starts that did not get one."""

    def __init__(self) -> None:
        self._patience = PATIENCE
        self.missed = 0

    def wait(self) -> None:
        """Wait until the processors are 90 % idle."""
        while self._patience > 0:
            before = _processor_time()
            time.sleep(0.1)
            now = _processor_time()
            if now[0] - before[0] >= 0.9 * (now[1] - before[1]):
                return
            self._patience -= 0.1
        self.missed += 1


def _processor_time() -> tuple[int, int]:
    """Return the idle ticks, and all."""
    ticks = [int(text) for text in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]]
    return ticks[3] + ticks[4], sum(ticks[:8])


def _events(number: int) -> dict[str, dict[str, Any]]:
    """Return what is sent: a ping (one call to AWS), and a delivery that starts a run."""
    sent: dict[str, Callable[[], Any]] = {"ping": deliveries.ping, "pull_request": deliveries.pull_request}
    events = {}
    for name, payload in sent.items():
        body = deliveries.encode(payload())
        headers = deliveries.signed_headers(name, body, SECRET, f"00000000-0000-4000-8000-{number:012d}")
        events[name] = {
            "httpMethod": "POST",
            "path": "/webhook",
            "headers": headers,
            "multiValueHeaders": {key: [value] for key, value in headers.items()},
            "body": body.decode(),
            "isBase64Encoded": False,
        }
    return events


def _start(receiver: Receiver, event: Any) -> tuple[float, float]:
    """Return the milliseconds until the environment is ready, and until its first answer."""
    code, handler, environment, command = receiver
    with RuntimeApi(code, handler, environment, python=sys.executable, command=command) as api:
        answer = api.invoke(event)
        if answer.kind != "response" or answer.payload["statusCode"] not in {200, 202}:
            raise RuntimeError(f"{handler} answered {answer.payload}")
        return (api.ready or 0.0) * 1000, (api.invoked + answer.seconds - api.began) * 1000


def report(times: Times, rounds: int, notes: list[str]) -> str:
    """Return the page: medians, and ratios to the empty handler of the same language."""
    about = (
        f"{rounds} starts of each, one after the other in each round: medians in milliseconds from"
        f" the start of the process, Python {platform.python_version()} on {platform.machine()}."
        " AWS is a stub over HTTPS that answers at once."
    )
    lines = ["# Cold start of the receiver on AWS", "", about, "", ABOUT, "", table(times), "", budget(times)]
    return "\n\n".join(["\n".join(lines), *notes])


def budget(times: Times) -> str:
    """Return a sentence that says whether the budget holds."""
    ours, boto, empty = (statistics.median(times[f"{name}: ping"]) for name in ("closeout", BOTO, EMPTY))
    held = "holds" if ours <= OF_BOTO * boto and ours <= OF_EMPTY * empty else "**does not hold**"
    return (
        f"Budget for the first answer with one signed call (a ping), at most {OF_BOTO:g} × the boto3 receiver and"
        f" {OF_EMPTY:g} × the empty handler: {ours:.1f} ms, {ours / boto:.2f} × and {ours / empty:.2f} ×, {held}."
    )


def table(times: Times) -> str:
    """Return a row for each receiver."""
    names = list(dict.fromkeys(key.partition(": ")[0] for key in times if key.endswith(": ping")))
    middle = {key: statistics.median(values) for key, values in times.items()}
    lines = [
        "| receiver, ms from the start | ready | a ping answered | a delivery with a run answered | beside the empty handler |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in names:
        row = [middle[f"{name}: {part}"] for part in ("ready", "ping", "pull_request")]
        beside = EMPTY_NODE if name in NODE else EMPTY
        ratio = row[2] / middle[f"{beside}: pull_request"]
        lines.append(f"| {name} | {row[0]:.1f} | {row[1]:.1f} | {row[2]:.1f} | {ratio:.2f} × |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
