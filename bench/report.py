"""The figures as a page: raw medians, ratios within a round, and each budget with whether it holds."""

import json
import statistics
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from bench.receivers import STORED, STORED_WITH_RUNS
from bench.tools import BENCH

Results = dict[str, Any]
COLUMNS = (
    ("rate", "req/s", "{:,.0f}"),
    ("p50_ms", "p50 ms", "{:.2f}"),
    ("p99_ms", "p99 ms", "{:.2f}"),
    ("paced_p50_ms", "p50 ms at 200/s", "{:.2f}"),
    ("paced_p99_ms", "p99 ms at 200/s", "{:.2f}"),
    ("cpu_us", "CPU µs a request", "{:.0f}"),
    ("memory_mb", "memory MB", "{:.0f}"),
    ("startup_ms", "start ms", "{:.0f}"),
)


def keep(results: Results, text: str) -> Path:
    """Write the page and the raw figures, named by day and revision, in place of the day's former ones; return the path."""
    day = results["revision"]["date"]
    for former in (BENCH / "results").glob(f"{day}-*"):
        if not former.stem.endswith(("-cold", "-teardown", "-orphans")):
            former.unlink()
    name = f"{day}-{results['revision']['commit']}"
    page = BENCH / "results" / f"{name}.md"
    page.write_text(text, "utf-8")
    page.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return page


def markdown(results: Results) -> str:
    """The whole page."""
    machine, pace = results["machine"], results["pace"]
    parts = [
        f"# Benchmark of {results['revision']['date']} at {results['revision']['commit']}\n",
        (
            f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}, "
            f"Node {machine['node']}; one fdatasync takes {machine['fsync_us']:.0f} µs here; other programs "
            f"used {machine['others_percent']:.0f} % of the cores before. Medians of {pace['rounds']} interleaved rounds; "
            f"{results['seconds']:.0f} s in all. Reproduce with `make bench`.\n"
        ),
    ]
    if machine["others_percent"] > 5:
        parts.append("**The machine was busy before the run: these figures say less than they seem to.**\n")
    if "receivers" in results:
        parts.append(_receivers(results))
    if "engine" in results:
        parts.append(_engine(results["engine"]))
    if "ledger" in results:
        parts.append(_ledger(results["ledger"]))
    if "lists" in results:
        parts.append(_lists(results["lists"]))
    parts.append("## Budgets\n\n" + budgets(results))
    return "\n".join(parts)


def _receivers(results: Results) -> str:
    pace = results["pace"]
    lines = [
        "## Receivers\n",
        (
            f"One core for the server, one for the load; 32 connections; a signed 23.7 KB `pull_request` `closed` delivery, "
            f"every GUID new. Saturated by wrk for {pace['saturated']:g} s; at 200/s by an open loop for "
            f"{pace['paced']:g} s, timed from the moment at which the request was due. Memory after load.\n"
        ),
    ]
    header = ["receiver", "on disk before it answers", *(title for _, title, _ in COLUMNS), "closeout is"]
    rows = []
    for name, entry in results["receivers"].items():
        if not entry["rounds"]:
            rows.append([name, f"not measured: {entry.get('error', '')[:80]}", *[""] * (len(COLUMNS) + 1)])
            continue
        figures = [form.format(median(results, name, key)) for key, _, form in COLUMNS]
        ratio = None if name in {STORED, STORED_WITH_RUNS} else rate_ratio(results, STORED, name)
        rows.append([name, entry["stores"], *figures, f"{ratio:.2f} ×" if ratio else ""])
    return "\n".join(lines) + "\n" + table(header, rows)


def _engine(engine: Results) -> str:
    keys = [key for key in engine["rows"] if any(key in figures for figures in engine["figures"].values())]
    header = ["engine", *(engine["rows"][key] for key in keys)]
    rows = []
    for name, figures in engine["figures"].items():
        rows.append([name, *(f"{figures[key]:,.1f}" if key in figures else "" for key in keys)])
    return f"## Durable engines on SQLite\n\n{engine['method']}\n\n{table(header, rows)}"


def _ledger(ledger: Results) -> str:
    rows = [
        [text, f"{ledger['figures'][key]:,.2f}"]
        for key, text in ledger["rows"].items()
        if key in ledger["figures"]
    ]
    return f"## A full ledger\n\n{ledger['method']}\n\n{table(['what', 'measured'], rows)}"


def _lists(lists: Results) -> str:
    kinds = [[name, f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}"] for name, one in lists["figures"].items()]
    costs = [
        [f"{which} the indexes of lists", f"{one['cpu_us_each']:.0f}", f"{one['per_second']:,.0f}", f"{one['paced_p50_ms']:.2f}", f"{one['paced_p99_ms']:.2f}"]
        for which, one in lists["acceptance"].items()
    ]  # fmt: skip
    ends = [
        [f"{which} the index of words", f"{one['cpu_us_each']:.0f}"] for which, one in lists["ends"].items()
    ]
    parts = [
        f"## Lists of a full ledger\n\n{lists['method']}\n",
        table(["a page of", "p50 ms", "p99 ms"], kinds),
        (
            f"The ledger has {lists['megabytes']:,.0f} MB. Its index of words was built in {lists['words_seconds']:.0f} s, as an "
            "upgrade builds it. A delivery with a run, accepted by the ledger alone (the last two: at 200/s):\n"
        ),
        table(["ledger", "CPU µs", "deliveries/s", "p50 ms", "p99 ms"], costs),
        table(["the end of a run", "CPU µs"], ends),
    ]
    return "\n".join(parts)


def median(results: Results, name: str, key: str) -> float | None:
    """The median over the rounds of one receiver; None when it was not measured."""
    rounds = results.get("receivers", {}).get(name, {}).get("rounds", [])
    return statistics.median(figures[key] for figures in rounds) if rounds else None


def rate_ratio(results: Results, ours: str, theirs: str) -> float | None:
    """The median over rounds of our rate by theirs in the same round."""
    receivers = results.get("receivers", {})
    pairs = zip(
        receivers.get(ours, {}).get("rounds", []), receivers.get(theirs, {}).get("rounds", []), strict=False
    )
    ratios = [our["rate"] / their["rate"] for our, their in pairs]
    return statistics.median(ratios) if ratios else None


Budget = tuple[str, str, Callable[[Results], float | None], Callable[[float], bool], str]


def _ratio(theirs: str) -> Callable[[Results], float | None]:
    return lambda results: rate_ratio(results, STORED, theirs)


def _figure(key: str, name: str = STORED) -> Callable[[Results], float | None]:
    return lambda results: median(results, name, key)


def _of(part: str, key: str) -> Callable[[Results], float | None]:
    def read(results: Results) -> float | None:
        value = results.get(part, {}).get("budgets", {}).get(key)
        return None if value is None else float(value)

    return read


BUDGETS: tuple[Budget, ...] = (
    (
        "rate compared with bare @octokit/webhooks",
        "≥ 0.8 ×, goal 1.0 ×",
        _ratio("@octokit/webhooks"),
        lambda x: x >= 0.8,
        "{:.2f} ×",
    ),
    ("rate compared with probot", "≥ 1.5 ×", _ratio("probot"), lambda x: x >= 1.5, "{:.2f} ×"),
    (
        "rate compared with gidgethub on aiohttp",
        "≥ 1.5 ×",
        _ratio("gidgethub, aiohttp"),
        lambda x: x >= 1.5,
        "{:.2f} ×",
    ),
    (
        "rate compared with adnanh/webhook with /bin/true",
        "≥ 8 ×",
        _ratio("adnanh/webhook"),
        lambda x: x >= 8,
        "{:.2f} ×",
    ),
    ("ack p99 at 200 deliveries/s", "< 2 ms", _figure("paced_p99_ms"), lambda x: x < 2, "{:.2f} ms"),
    (
        "the same with a run each",
        "< 2 ms",
        _figure("paced_p99_ms", STORED_WITH_RUNS),
        lambda x: x < 2,
        "{:.2f} ms",
    ),
    ("startup to the first 2xx", "< 250 ms", _figure("startup_ms"), lambda x: x < 250, "{:.0f} ms"),
    ("memory before load", "< 60 MB", _figure("idle_mb"), lambda x: x < 60, "{:.0f} MB"),
    ("memory after load", "< 60 MB", _figure("memory_mb"), lambda x: x < 60, "{:.0f} MB"),
    ("five-step runs per second", "≥ 300", _of("engine", "rate"), lambda x: x >= 300, "{:.0f}"),
    ("the same compared with DBOS", "≥ 6 ×", _of("engine", "ratio"), lambda x: x >= 6, "{:.1f} ×"),
    ("ack to first step, p50", "< 20 ms", _of("engine", "first_step_ms"), lambda x: x < 20, "{:.1f} ms"),
    (
        "full ledger: receiver p99 compared with an empty one",
        "< 1.3 ×",
        _of("ledger", "p99_ratio"),
        lambda x: x < 1.3,
        "{:.2f} ×",
    ),
    ("full ledger: any list, p99", "< 50 ms", _of("lists", "p99_ms"), lambda x: x < 50, "{:.1f} ms"),
    ("full ledger: run list", "< 50 ms", _of("ledger", "list_ms"), lambda x: x < 50, "{:.1f} ms"),
)


def budgets(results: Results, only: Collection[str] = ()) -> str:
    """Return the table of budgets: what was measured, and whether it holds.

    `only` names some of them; one that does not hold is in the table all the same.
    """
    rows = []
    for what, budget, read, holds, form in BUDGETS:
        value = read(results)
        if only and what not in only and (value is None or holds(value)):
            continue
        if value is None:
            rows.append([what, budget, "", "not measured"])
        else:
            rows.append([what, budget, form.format(value), "holds" if holds(value) else "**does not hold**"])
    return table(["what", "budget", "measured", ""], rows)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns are even, so that it reads in a terminal too."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([line(header), rule, *map(line, rows)]) + "\n"
