"""The figures in the docs, made from the newest pages in bench/results: `python -m bench.figures [--write]`.

`make bench` and `make bench-cold ARGS=--keep` keep a page each. README has one line of it, docs/reference/performance.md the
budgets.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench import cold, pending, report

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PERFORMANCE = ROOT / "docs" / "reference" / "performance.md"
RESULTS = ROOT / "bench" / "results"
LINKED = "../../bench/results"
ASKED = (
    "rate compared with bare @octokit/webhooks",
    "rate compared with probot",
    "ack p99 at 200 deliveries/s",
    "the same with a run each",
    "startup to the first 2xx",
    "memory after load",
    "five-step runs per second",
)
"""The rows that the page of figures repeats: what people ask for first, whether it holds or not."""
BEGIN, END = "<!-- figures: python -m bench.figures --write -->\n", "<!-- end of figures -->\n"


def main() -> int:
    current = True
    for page, made in ((README, line()), (PERFORMANCE, block())):
        text = page.read_text("utf-8")
        current = current and between(text) == made
        if "--write" in sys.argv[1:]:
            page.write_text(text.split(BEGIN)[0] + BEGIN + made + END + text.split(END)[1], "utf-8")
        else:
            print(made)
    return 0 if current or "--write" in sys.argv[1:] else 1


def between(text: str) -> str:
    """Return what a page has between the marks."""
    return text.partition(BEGIN)[2].partition(END)[0]


def newest(*, starts: bool) -> tuple[Path, Any]:
    """Return the newest kept run of the benchmark, or of the cold starts."""
    others = ("-teardown", "-orphans", "-pending")
    kept = (path for path in RESULTS.glob("*.json") if not path.stem.endswith(others))
    found = sorted(path for path in kept if path.stem.endswith("-cold") == starts)
    if not found:
        raise SystemExit("nothing is kept in bench/results: run `make bench`, `make bench-cold ARGS=--keep`")
    return found[-1].with_suffix(".md"), json.loads(found[-1].read_text("utf-8"))


def line() -> str:
    """Return README's line."""
    _, results = newest(starts=False)
    values = {name: (read(results), form) for name, _, read, _, form in report.BUDGETS}
    figure = {name: form.format(value) for name, (value, form) in values.items() if value is not None}
    return (
        f"It acknowledges within {figure['ack p99 at 200 deliveries/s']} (p99 at 200 a second, stored first), starts in"
        f" {figure['startup to the first 2xx']}, and takes {figure['memory after load']}:"
        " [all figures, missed budgets included](docs/reference/performance.md).\n"
    )


def block() -> str:
    """Return the budgets for the page of figures."""
    page, results = newest(starts=False)
    cold_page, times = newest(starts=True)
    machine = results["machine"]
    about = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, Node {machine['node']}"
    return (
        f"`make bench`, one run on one machine ({about}); [every row, and how it was measured]({LINKED}/{page.name}).\n\n"
        f"{report.budgets(results, ASKED)}\n"
        "`make bench-cold`, the receiver on AWS from the start of its process, over stand-ins of Lambda and AWS on one"
        f" machine. {cold.budget(times)}{_remark(cold_page)}\n"
        f"[Compared with other receivers]({LINKED}/{cold_page.name}).\n{_pending()}{_teardowns()}"
    )


def _pending() -> str:
    """Return how long `pending` takes on AWS, from the newest page that has it."""
    for path in sorted(
        (*RESULTS.glob("*-pending.json"), *RESULTS.glob("*-cold.json")), key=_day, reverse=True
    ):
        times = json.loads(path.read_text("utf-8"))
        if "pending_cold_ms" in times:
            page = f"[how it was measured, and sizes of memory]({LINKED}/{path.with_suffix('.md').name})"
            return f"\nOver the stack on the emulated account. {pending.budget(times)} {page}.\n"
    return ""


def _day(path: Path) -> tuple[str, bool]:
    """Return a page's day; of one day, the page about `pending` alone is the last."""
    return path.stem[:10], path.stem.endswith("-pending")


def _teardowns() -> str:
    """Return what the newest page of `bench.teardown` says, without its title."""
    pages = sorted(RESULTS.glob("*-teardown.md"))
    return "\n`python -m bench.teardown`:" + pages[-1].read_text("utf-8").partition("\n")[2] if pages else ""


def _remark(page: Path) -> str:
    """Return what was written into a page by hand, about other runs than the one that it is of."""
    return "".join(
        f" {text}" for text in page.read_text("utf-8").splitlines() if text.startswith("Other runs")
    )


if __name__ == "__main__":
    sys.exit(main())
