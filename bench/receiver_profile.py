"""Where a delivery's time goes: the receiver over a stub, over the ledger, and with a run each, on one core.

    python -m bench.receiver_profile [stub|ledger|runs …] [--seconds N] [--rounds N] [--profile]

Processor time for each request is printed beside requests a second: it stays comparable on a machine that has other
work to do. `--profile` prints the functions that take most of it (and makes everything slower).
"""

import argparse
import cProfile
import pstats
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.load import CONNECTIONS, EVENT, SECRET, example_body, fresh_prefix, signature
from bench.servers import LOAD_CORE, SERVER_CORE, TICK, pinned
from bench.tools import BENCH

WHAT = {"stub": "nothing stored", "ledger": "delivery stored", "runs": "delivery and run stored"}


def serve(mode: str, db: Path, profiled: bool) -> None:
    from closeout.adapters.clock import SystemClock
    from closeout.core.automation import Automation
    from closeout.intake import Receiver
    from closeout.server import serve
    from closeout.server.app import Application
    from closeout.server.parts import ServerParts

    automation = Automation(
        name="bench",
        triggers=(
            {"event": EVENT, "types": ["closed"], "branches": ["nothing" if mode == "ledger" else "**"]},
        ),
        repositories=("*/*",),
    )
    accept, views = (_stub(), None) if mode == "stub" else _ledger(db, SystemClock())
    app = Application(
        ServerParts(
            receiver=Receiver.of([automation], lambda: (SECRET.encode(),)),
            accept=accept,
            started=lambda _: None,
            refresh=lambda: False,
            ready=lambda: None,
            views=views,
            link_key=b"-" * 32,
        )
    )

    def run() -> None:
        serve.run(app, "127.0.0.1", 0, lambda address: print(address, flush=True))

    if not profiled:
        run()
        return
    profile = cProfile.Profile()
    profile.runcall(run)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(30)


def _stub():
    from closeout.core.records import Accepted

    waiting = queue.SimpleQueue()

    def answer() -> None:
        for number in range(sys.maxsize):
            _, runs, done = waiting.get()
            done(Accepted(number, tuple(run.run_id for run in runs), False, ()))

    threading.Thread(target=answer, daemon=True).start()
    return lambda group: [waiting.put(item) for item in group]


def _ledger(db, clock):
    from closeout.ledger.sqlite import Ledger, Views

    return Ledger(db, clock=clock).open().accept_group, Views(db)


def measure(mode: str, seconds: int, profiled: bool) -> tuple[float, float]:
    """Requests a second, and microseconds of processor time for each."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        body.write_bytes(example_body())
        command = [sys.executable, "-m", "bench.receiver_profile", mode, "--serve", f"{folder}/bench.db"]
        command += ["--profile"] if profiled else []
        server = subprocess.Popen(pinned(SERVER_CORE, command), stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip() + "/webhook"
            before = _processor_seconds(server.pid)
            load = [
                "wrk",
                "-t1",
                f"-c{CONNECTIONS}",
                f"-d{seconds}s",
                "-s",
                str(BENCH / "signed.lua"),
                url,
                "--",
            ]
            load += [str(body), signature(body.read_bytes()), EVENT, fresh_prefix()]
            output = subprocess.run(
                pinned(LOAD_CORE, load), capture_output=True, text=True, check=True
            ).stdout
            spent = _processor_seconds(server.pid) - before
        finally:
            server.terminate()
            server.wait(30)
    if "Non-2xx" in output:
        sys.exit(output)
    count = int(re.search(r"(\d+) requests in", output)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), spent / count * 1e6


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modes", nargs="*", metavar="MODE", help=", ".join(WHAT))
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--serve", metavar="DB", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.modes[0], Path(options.serve), options.profile)
        return
    for mode in options.modes or WHAT:
        for _ in range(options.rounds):
            rate, spent = measure(mode, options.seconds, options.profile)
            print(f"{WHAT[mode]:24} {rate:8.0f} req/s {spent:8.1f} µs each", flush=True)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
