"""How fast the ledger accepts, and what a million deliveries do to it.

    python bench/ledger.py [--count N] [--million]

One producer thread, as in the receiver: bodies of 24 KB that compress like a pull request's payload, unique GUIDs,
every one fsynced before its `done`. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from closeout.core.records import NewDelivery, NewRun
from closeout.ledger.sqlite import Ledger, Views


class Clock:
    def now(self) -> float:
        return time.time()


def payload() -> bytes:
    """24 KB of JSON, seven times smaller when compressed, as GitHub's example is."""
    chance = random.Random(7)
    item = {
        f"{key}_url": f"https://api.example.test/repos/acme/shop/{key}/17"
        for key in ("pulls", "issues", "commits")
    }
    rows = []
    while len(json.dumps(rows)) < 23_700:
        rows.append(
            {**item, "id": chance.randrange(10**9), "node": uuid.UUID(int=chance.getrandbits(128)).hex}
        )
    return json.dumps(rows).encode()


def delivery(body: bytes, guid: str) -> NewDelivery:
    return NewDelivery(
        "123456", guid, "pull_request", "closed", "acme/shop", body, False, time.time(), "github", 17
    )


def accepts(ledger: Ledger, count: int, in_flight: int, body: bytes, *, runs: bool) -> dict[str, float]:
    """Accept `count` deliveries with at most `in_flight` unanswered: what 32 connections do."""
    free = threading.Semaphore(in_flight)
    times: list[float] = []
    failed: list[Any] = []

    def settle(since: float, result: Any) -> None:
        if isinstance(result, Exception):
            failed.append(result)
        times.append(time.perf_counter() - since)
        free.release()

    begun = time.perf_counter()
    cpu = time.process_time()
    for number in range(count):
        free.acquire()
        guid = str(uuid.uuid4())
        new = [NewRun(f"{guid}", "preview-cleanup", None, "{}", 3600.0)] if runs else []
        ledger.accept_group([(delivery(body, guid), new, partial(settle, time.perf_counter()))])
        del number
    for _ in range(in_flight):
        free.acquire()
    took = time.perf_counter() - begun
    assert not failed, failed[0]
    return {
        "per_second": round(count / took),
        "cpu_us_each": round((time.process_time() - cpu) / count * 1e6, 1),
        **percentiles(times),
    }


def paced(ledger: Ledger, seconds: float, rate: int, body: bytes) -> dict[str, float]:
    """Latency from accept to done at a steady rate."""
    times: list[float] = []

    def settle(since: float, _result: Any) -> None:
        times.append(time.perf_counter() - since)

    due = time.perf_counter()
    for _ in range(int(seconds * rate)):
        due += 1 / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        ledger.accept_group([(delivery(body, str(uuid.uuid4())), [], partial(settle, time.perf_counter()))])
    time.sleep(0.2)
    return percentiles(times)


def percentiles(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    at = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    return {name: round(times[int(len(times) * share)] * 1000, 2) for name, share in at.items()} | {
        "max_ms": round(times[-1] * 1000, 2)
    }


def pages(path: Path) -> dict[str, float]:
    """Milliseconds for the first page of each list."""
    views = Views(path)
    views.runs(limit=50)
    result = {}
    for name, call in {
        "runs_page_ms": lambda: views.runs(limit=50),
        "deliveries_page_ms": lambda: views.deliveries(limit=50),
        "stats_ms": views.stats,
    }.items():
        begun = time.perf_counter()
        call()
        result[name] = round((time.perf_counter() - begun) * 1000, 2)
    views.close()
    return result


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--count", type=int, default=30_000)
    arguments.add_argument(
        "--million", action="store_true", help="fill to a million deliveries and measure again"
    )
    arguments.add_argument("--folder", default=None)
    options = arguments.parse_args()
    body = payload()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "ledger.db"
        result: dict[str, Any] = {"body_bytes": len(body)}
        with Ledger(path, clock=Clock()) as ledger:
            accepts(ledger, 2_000, 32, body, runs=False)
            result["accept_32_in_flight"] = accepts(ledger, options.count, 32, body, runs=False)
            result["accept_with_run"] = accepts(ledger, options.count // 2, 32, body, runs=True)
            result["accept_1_in_flight"] = accepts(ledger, 3_000, 1, body, runs=False)
            result["paced_200_per_second"] = paced(ledger, 5, 200, body)
            result["pages"] = pages(path)
            if options.million:
                small = b"{}" * 20
                begun = time.perf_counter()
                accepts(ledger, 700_000, 512, small, runs=False)
                accepts(ledger, 300_000, 512, small, runs=True)
                result["million"] = {
                    "fill_seconds": round(time.perf_counter() - begun),
                    "accept_32_in_flight": accepts(ledger, options.count, 32, body, runs=False),
                    "paced_200_per_second": paced(ledger, 5, 200, body),
                    "pages": pages(path),
                    "megabytes": round(path.stat().st_size / 1e6),
                }
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
