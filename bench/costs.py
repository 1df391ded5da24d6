"""What closeout costs on AWS: counts of `bench.usage` times prices, as a page, with every figure's origin.

    python -m bench.costs             print the figures
    python -m bench.costs --measure   count again what a run uses (some seconds), and keep it
    python -m bench.costs --write     put the figures into docs/reference/costs.md

Prices are AWS's list prices for us-east-1 without any free tier. Seconds of functions are assumed, since nothing was run
on AWS; everything else is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from closeout.actions.aws.teardown import POLL

HERE = Path(__file__).resolve().parent
KEPT = HERE / "usage.json"
PAGE = HERE.parent / "docs" / "reference" / "costs.md"
BEGIN, END = "<!-- Written by `python -m bench.costs --write`. -->", "<!-- Until here. -->"

RUNS = 1_000
MILLION, GB = 1_000_000, 1_000_000_000
READ = "2026-11-25"
"""When the copies of AWS's pages were read. They are copies: no live page was reached."""


class Price(NamedTuple):
    """One price in US dollars for `per` of a unit, and AWS's page that has it."""

    usd: float
    per: float
    unit: str
    page: str

    @property
    def each(self) -> float:
        """Dollars for one."""
        return self.usd / self.per


_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_SECRETS = "https://aws.amazon.com/secrets-manager/pricing/"
PRICES = {
    "API Gateway": Price(3.50, MILLION, "calls of a REST API", "https://aws.amazon.com/api-gateway/pricing/"),
    "Lambda requests": Price(0.20, MILLION, "invocations", _LAMBDA),
    "Lambda time": Price(0.0000133334, 1, "GB-second on arm64", _LAMBDA),
    "Durable operations": Price(8.00, MILLION, "durable operations", _LAMBDA),
    "Durable data written": Price(0.25, GB, "GB of durable data written", _LAMBDA),
    "Durable data kept": Price(0.15, GB, "GB-month of durable data", _LAMBDA),
    "DynamoDB writes": Price(0.625, MILLION, "write request units", _DYNAMODB),
    "DynamoDB reads": Price(0.125, MILLION, "read request units", _DYNAMODB),
    "DynamoDB storage": Price(0.25 + 0.20, GB, "GB-month, with point-in-time recovery", _DYNAMODB),
    "CloudWatch Logs": Price(0.50 + 0.03, GB, "GB taken in and kept for a month", _CLOUDWATCH),
    "Secrets Manager calls": Price(0.05, 10_000, "calls", _SECRETS),
    "Secrets": Price(0.40, 1, "secret and month", _SECRETS),
    "Alarms": Price(0.10, 1, "metric in an alarm and month", _CLOUDWATCH),
    "Metrics": Price(0.30, 1, "custom metric and month", _CLOUDWATCH),
    "SQS": Price(0.40, MILLION, "requests", "https://aws.amazon.com/sqs/pricing/"),
}

# --- what is assumed --------------------------------------------------------------------------------------------

RECEIVER_GB, WORKER_GB = 1.0, 1.0
"""Memory of the functions: `memory_size` in cdk/closeout_cdk/functions.py."""
RECEIVER_SECONDS = 0.3
"""Assumed: most deliveries of a quiet repository meet a cold start."""
RUN_SECONDS, POLL_SECONDS = 4.0, 0.7
"""Assumed: all that a run does but its polls, with a cold start of the worker; and one poll."""
HISTORY_DAYS = 14
"""`HISTORY_DAYS` in cdk/closeout_cdk/functions.py: how long Lambda keeps a finished execution."""
CHECKPOINT_BYTES = 1_024
"""Assumed: what Lambda keeps of a durable operation here is `{"wake": …}`."""
PLATFORM_LOG_BYTES = 450
"""Assumed: Lambda's own START, END and REPORT lines of an invocation."""
ACCESS_LOG_BYTES = 400
"""Assumed: one line of the access log."""
SECRET_READS = 2
"""Counted: a cold receiver reads two versions, a cold worker one token or two; 0.05 dollars for 10,000."""
KEPT_MONTHS = 1.0
"""`retentionDays`, whose default is 30."""
SECRETS = 2
ALARM_METRICS = 19
"""Counted in cdk/closeout_cdk/alarms.py, which a test holds to it. An alarm over an expression is billed for each metric.

The metrics of filters cost nothing in a quiet month: a metric filter that finds no line emits nothing, and a metric is
billed by the hour in which it has a value. Patrol's have one all the time.
"""
QUEUE_POLLS = 648_000
"""Requests of a month with which Lambda asks the empty dead-letter queue: five pollers that wait for 20 seconds each."""
PATROLS = 30 * 24 * 12
"""Rounds of patrol in a month, every five minutes: `patrol.deliveries`."""
PATROL_SECONDS, PATROL_OPERATIONS, PATROL_WRITES = 2.0, 2, 20
"""Assumed: what a round over a few quiet repositories takes."""
PATROL_METRICS = 10
"""Counted in src/closeout/lambdas/patrol_log.py, which a test holds to it."""
LOOKS = 30 * 24 * 60
"""Looks for what needs a person in a month, each minute, if the file has `notify`."""
LOOK_SECONDS, LOOK_GB, LOOK_READS = 0.1, 0.5, 3
"""Assumed: what a look takes that finds nothing. Memory: `memory_size` in cdk/closeout_cdk/notify.py."""
NOTIFY_METRICS = 2
"""Counted in the alarm `MessagesUndelivered`."""
LOOK_OPERATIONS = 3
"""Durable operations of a look at the queue: `wait_for_condition` with its one poll, and a callback."""


class Case(NamedTuple):
    """A kind of run: its name, the measured usage that it is like, and how long it waits for a stack."""

    name: str
    usage: str
    seconds: float


CASES = (
    Case("a comment", "comment", 0.0),
    Case("a stack that takes 5 minutes", "preview", 300.0),
    Case("a stack that takes 30 minutes", "preview", 1_800.0),
)


def polls(seconds: float) -> int:
    """Return how often a stack is looked at until it is gone."""
    count, passed = 0, 0.0
    while passed < seconds:
        passed += min(POLL.first * POLL.factor**count, POLL.cap)
        count += 1
    return count


class Line(NamedTuple):
    """One line of a bill for 1,000 runs."""

    price: str
    amount: float

    @property
    def usd(self) -> float:
        """Dollars."""
        return self.amount * PRICES[self.price].each


def bill(case: Case, usage: dict[str, Any]) -> list[Line]:
    """Return what 1,000 closed pull requests of one kind cost, line by line."""
    used, times = usage[case.usage], polls(case.seconds)

    def total(what: str) -> float:
        return float(used["delivery"][what] + used["run"][what] + times * used["poll"][what])

    visits = used["run"]["visits"] + times * used["poll"]["visits"]
    log = total("log") + (1 + visits) * PLATFORM_LOG_BYTES + ACCESS_LOG_BYTES
    seconds = RUN_SECONDS + times * POLL_SECONDS
    each = {
        "API Gateway": 1.0,
        "Lambda requests": 1.0 + visits,
        "Lambda time": RECEIVER_GB * RECEIVER_SECONDS + WORKER_GB * seconds,
        **_durable(1.0 + visits),
        "DynamoDB writes": total("writes"),
        "DynamoDB reads": total("reads"),
        "DynamoDB storage": total("stored") * KEPT_MONTHS,
        "CloudWatch Logs": log,
        "Secrets Manager calls": 2.0 * SECRET_READS,
    }
    return [Line(name, RUNS * amount) for name, amount in each.items()]


def _durable(operations: float) -> dict[str, float]:
    """Return what Lambda bills of an execution, besides requests and time."""
    written = operations * CHECKPOINT_BYTES
    return {
        "Durable operations": operations,
        "Durable data written": written,
        "Durable data kept": written * HISTORY_DAYS / 30.0,
    }


def queued(usage: dict[str, Any]) -> list[Line]:
    """Return what 1,000 runs cost that wait a day each for the run before them."""
    day = usage["queue"]["day"]
    each = {
        "Lambda requests": day["visits"],
        "Lambda time": day["visits"] * POLL_SECONDS * WORKER_GB,
        **_durable(LOOK_OPERATIONS * day["visits"]),
        "DynamoDB writes": day["writes"],
        "DynamoDB reads": day["reads"],
        "CloudWatch Logs": day["log"] + day["visits"] * PLATFORM_LOG_BYTES,
    }
    return [Line(name, RUNS * amount) for name, amount in each.items()]


def standing() -> list[Line]:
    """Return what a month costs in which nothing happens."""
    return [
        Line("Secrets", SECRETS),
        Line("Alarms", ALARM_METRICS),
        Line("SQS", QUEUE_POLLS),
        Line("Metrics", PATROL_METRICS),
        Line("Lambda requests", PATROLS),
        Line("Lambda time", PATROLS * PATROL_SECONDS * WORKER_GB),
        Line("Durable operations", PATROLS * PATROL_OPERATIONS),
        Line("DynamoDB writes", PATROLS * PATROL_WRITES),
    ]


def telling() -> list[Line]:
    """Return what a month costs, more, in which somebody is to be told and nothing happens."""
    return [
        Line("Alarms", NOTIFY_METRICS),
        Line("Lambda requests", LOOKS),
        Line("Lambda time", LOOKS * LOOK_SECONDS * LOOK_GB),
        Line("DynamoDB reads", LOOKS * LOOK_READS),
        Line("CloudWatch Logs", LOOKS * PLATFORM_LOG_BYTES),
    ]


# --- the page ---------------------------------------------------------------------------------------------------


def tables(usage: dict[str, Any]) -> str:
    """Return the page's tables as Markdown."""
    return "\n\n".join(
        "\n".join(part) for part in (_totals(usage), _fixed(), _amounts(usage), _counts(usage), _prices())
    )


def _totals(usage: dict[str, Any]) -> Iterator[str]:
    yield "## 1,000 closed pull requests\n"
    yield "| each with one run that is | looks at the stack | US dollars |"
    yield "| --- | --- | --- |"
    for case in CASES:
        usd = sum(line.usd for line in bill(case, usage))
        yield f"| {case.name} | {polls(case.seconds)} times | {usd:.2f} |"
    usd = sum(line.usd for line in queued(usage))
    yield f"| for each day in the queue of its key, more | | {usd:.2f} |"


def _fixed() -> Iterator[str]:
    yield "## A month in which nothing happens\n"
    yield "| what | how many | US dollars |"
    yield "| --- | --- | --- |"
    yield from map(_fixed_line, standing())
    yield f"| together | | {sum(line.usd for line in standing()):.2f} |"
    yield "\nWith `notify` in the file, more:\n"
    yield "| what | how many | US dollars |"
    yield "| --- | --- | --- |"
    yield from map(_fixed_line, telling())
    yield f"| together | | {sum(line.usd for line in telling()):.2f} |"


def _fixed_line(line: Line) -> str:
    price = PRICES[line.price]
    unit = f"a {price.unit}" if price.per == 1 else price.unit
    return f"| {line.price}: {unit} | {_amount(line)} | {line.usd:.2f} |"


def _amounts(usage: dict[str, Any]) -> Iterator[str]:
    bills = [bill(case, usage) for case in CASES]
    yield "## Line by line\n"
    yield "Amount for 1,000 runs, then dollars. Each is amount ÷ *per* × price of the last table.\n"
    yield "| line | " + " | ".join(case.name for case in CASES) + " |"
    yield "| --- |" + " --- |" * len(CASES)
    for row in zip(*bills, strict=True):
        cells = [f"{_amount(line)} · {line.usd:.3f}" for line in row]
        yield f"| {row[0].price} | " + " | ".join(cells) + " |"


def _amount(line: Line) -> str:
    per = PRICES[line.price].per
    return f"{line.amount / GB:.3f} GB" if per == GB else f"{line.amount:,.0f}"


def _counts(usage: dict[str, Any]) -> Iterator[str]:
    yield "## What one run uses\n"
    yield "| counted | write units | read units | bytes stored | bytes of log | invocations |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, used in usage.items():
        for part, one in used.items():
            if any(one.values()):
                numbers = (one[key] for key in ("writes", "reads", "stored", "log", "visits"))
                yield (
                    f"| {_PARTS[part]}, {name} | " + " | ".join(f"{number:,.0f}" for number in numbers) + " |"
                )


_PARTS = {"delivery": "the delivery", "run": "the run without its polls", "poll": "one poll", "day": "a day"}


def _prices() -> Iterator[str]:
    yield "## Prices\n"
    yield f"AWS's list prices for us-east-1, from copies of AWS's pages read on {READ}. Without free tiers.\n"
    yield "| line | US dollars | per | page |"
    yield "| --- | --- | --- | --- |"
    for name, price in PRICES.items():
        per = f"{price.per:,.0f} {price.unit}" if price.per not in (1, GB) else price.unit
        usd = f"{price.usd:.10f}".rstrip("0")
        yield f"| {name} | {usd + '0' if usd.endswith('.') else usd} | {per} | <{price.page}> |"


def kept() -> dict[str, Any]:
    """Return the usage that was counted last."""
    found: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    return found


def count() -> dict[str, Any]:
    """Count again, over the emulator."""
    from bench import usage

    found = {
        "comment": usage.measure(usage.COMMENT, delete_seconds=1.0),
        "preview": usage.measure(usage.PREVIEW, delete_seconds=6.0),
    }
    counted = {
        name: {part: getattr(one, part)._asdict() for part in ("delivery", "run", "poll")}
        for name, one in found.items()
    }
    return {**counted, "queue": {"day": usage.measure_queue()._asdict()}}


def main(arguments: list[str] | None = None) -> int:
    """Print, measure or write. Gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.costs", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--measure", action="store_true", help="count again, over the emulator")
    parser.add_argument("--write", action="store_true", help="put the figures into the page")
    options = parser.parse_args(arguments)
    if options.measure:
        KEPT.write_text(json.dumps(count(), indent=2) + "\n", "utf-8")
    text = tables(kept())
    if options.write:
        before, rest = PAGE.read_text("utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
