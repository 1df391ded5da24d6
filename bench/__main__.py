"""`make bench`: closeout and its peers, in one run on one machine; the figures go to bench/results."""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import engines, filled, lists, report, tools
from bench.load import Requests, example_body, paced, saturate
from bench.receivers import receivers
from bench.servers import Peer, Server

Figures = dict[str, float]
PARTS = ["receivers", "engine", "ledger", "lists"]


def main() -> int:
    options = _options()
    for sentence in tools.install():
        print(f"note: {sentence}")
    if not tools.program("wrk"):
        return 1
    began = time.perf_counter()
    pace = Pace.quick() if options.quick else Pace()
    results: dict[str, Any] = {"machine": _machine(), "revision": _revision(), "pace": vars(pace)}
    if "receivers" in options.parts:
        results["receivers"] = _receivers(pace, options.only)
    if "engine" in options.parts:
        results["engine"] = engines.compare(runs=pace.runs, idle=pace.idle, rounds=pace.rounds)
    if "ledger" in options.parts:
        results["ledger"] = filled.measure(
            deliveries=pace.deliveries, rate=pace.rate, seconds=pace.paced, rounds=pace.rounds
        )
    if "lists" in options.parts:
        results["lists"] = lists.measure(runs=pace.deliveries, tries=pace.reads)
    results["seconds"] = time.perf_counter() - began
    text = report.markdown(results)
    print("\n" + text)
    if options.keep or not (options.quick or options.only or options.parts != PARTS):
        print(f"kept in {report.keep(results, text).relative_to(tools.ROOT)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round: two minutes, to see that it works"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the figures of a run that is quick or not whole, too"
    )
    parser.add_argument("--only", action="append", help="measure only receivers whose name holds this text")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which parts to measure")
    return parser.parse_args()


class Pace:
    """How long everything is measured: rounds of all peers in turn, so that a slow minute hits each of them."""

    def __init__(self) -> None:
        self.rounds, self.warm, self.saturated, self.paced = 3, 1, 4, 5
        self.rate, self.runs, self.idle, self.deliveries = 200.0, 1000, 5.0, 1_000_000
        self.reads = 100

    @classmethod
    def quick(cls) -> "Pace":
        pace = cls()
        pace.rounds, pace.warm, pace.saturated, pace.paced = 1, 1, 2, 2
        pace.runs, pace.idle, pace.deliveries = 200, 2.0, 50_000
        pace.reads = 20
        return pace


def _receivers(pace: Pace, only: list[str] | None) -> dict[str, Any]:
    body = example_body()
    peers = [peer for peer in receivers() if not only or any(text in peer.name for text in only)]
    results: dict[str, Any] = {peer.name: {"stores": peer.stores, "rounds": []} for peer in peers}
    for number in range(pace.rounds):
        for peer in peers:
            print(f"round {number + 1}/{pace.rounds}: {peer.name}", flush=True)
            try:
                results[peer.name]["rounds"].append(_measure(peer, body, pace))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                results[peer.name]["error"] = str(error)
                print(f"  not measured: {error}", flush=True)
    return results


def _measure(peer: Peer, body: bytes, pace: Pace) -> Figures:
    server = Server(peer, tools.WORK / "server")
    try:
        startup = server.first_answer(Requests(body).next())
        idle = server.memory()
        saturate(server.port, body, pace.warm)
        latencies = sorted(paced(server.port, body, pace.rate, pace.paced))
        before = server.cpu()
        saturated = saturate(server.port, body, pace.saturated)
        cpu = server.cpu() - before
        if saturated.failed:
            raise RuntimeError(f"{saturated.failed} requests failed under load: {server.output()}")
        return {
            "rate": saturated.rate,
            "p50_ms": saturated.p50 * 1e3,
            "p99_ms": saturated.p99 * 1e3,
            "paced_p50_ms": statistics.median(latencies) * 1e3,
            "paced_p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
            "cpu_us": cpu / saturated.requests * 1e6,
            "idle_mb": idle,
            "memory_mb": server.memory(),
            "startup_ms": startup * 1e3,
        }
    finally:
        server.stop()


def _machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "node": node,
        "fsync_us": _fsync(),
        "others_percent": _others(),
    }


def _others(seconds: float = 2.0) -> float:
    """Percent of all cores that other programs use while this one sleeps: what the figures will be disturbed by."""

    def ticks() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    before = ticks()
    time.sleep(seconds)
    after = ticks()
    return 100 * (1 - (after[1] - before[1]) / max(1, after[0] - before[0]))


def _fsync(samples: int = 200) -> float:
    """Microseconds of one fdatasync after 4 KB, the median: what this machine asks for a promise."""
    path = tools.WORK / "fsync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(samples):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(times) * 1e6


def _revision() -> dict[str, str]:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=tools.ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "bench", "requirements")
    return {
        "commit": git("rev-parse", "--short=10", "HEAD") + ("-changed" if changed else ""),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    sys.exit(main())
