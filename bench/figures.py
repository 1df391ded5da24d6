"""The figures in README, made from the newest pages in bench/results: `python -m bench.figures [--write]`.

`make bench` and `make bench-cold ARGS=--keep` keep a page each; what README says is what stands there.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench import cold, report

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "bench" / "results"
ASKED = (
    "rate beside bare @octokit/webhooks",
    "rate beside probot",
    "ack p99 at 200 deliveries/s",
    "the same with a run each",
    "startup to the first 2xx",
    "memory after load",
    "five-step runs per second",
)
"""The rows of the page that README repeats: what people ask for first, whether it holds or not."""
BEGIN, END = "<!-- figures: python -m bench.figures --write -->\n", "<!-- end of figures -->\n"


def main() -> int:
    text = README.read_text("utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    made = before + BEGIN + block() + END + after
    if "--write" in sys.argv[1:]:
        README.write_text(made, "utf-8")
        return 0
    print(block())
    return 0 if made == text else 1


def newest(*, starts: bool) -> tuple[Path, Any]:
    """Return the newest kept run of the benchmark, or of the cold starts."""
    found = sorted(path for path in RESULTS.glob("*.json") if path.stem.endswith("-cold") == starts)
    if not found:
        raise SystemExit("nothing is kept in bench/results: run `make bench`, `make bench-cold ARGS=--keep`")
    return found[-1].with_suffix(".md"), json.loads(found[-1].read_text("utf-8"))


def block() -> str:
    """Return the text between the marks."""
    page, results = newest(starts=False)
    cold_page, times = newest(starts=True)
    machine = results["machine"]
    about = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, Node {machine['node']}"
    return (
        f"`make bench`, one run on one machine ({about}); [every row, and how it was measured](bench/results/{page.name}).\n\n"
        f"{report.budgets(results, ASKED)}\n"
        f"`make bench-cold`, the receiver on AWS from the start of its process, over stand-ins of Lambda and AWS on this machine. {cold.budget(times)}{_remark(cold_page)}\n"
        f"[Beside other receivers, and from a pull request's close to `pending`](bench/results/{cold_page.name}).\n"
    )


def _remark(page: Path) -> str:
    """Return what was written into a page by hand, about other runs than the one that it is of."""
    return "".join(
        f" {line}" for line in page.read_text("utf-8").splitlines() if line.startswith("Other runs")
    )


if __name__ == "__main__":
    sys.exit(main())
