"""Many histories of the model: `python -m tests.model --histories 2000`. It prints how many held, and what happened in them."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import HAPPENED, Closings
from tests.model.on_disk import ClosingsOnDisk


@contextmanager
def _on_dynamodb() -> Iterator[Callable[[], Closings]]:
    from closeout.testing.aws import FakeAws
    from tests.model.on_dynamodb import ClosingsOnDynamodb

    with FakeAws() as aws:
        yield lambda: ClosingsOnDynamodb(aws)


STORES: Mapping[str, Callable[[], AbstractContextManager[Callable[[], Closings]]]] = {
    "memory": lambda: nullcontext(Closings),
    "sqlite": lambda: nullcontext(ClosingsOnDisk),
    "dynamodb": _on_dynamodb,
}


def effort(histories: int, steps: int = 40, *, known: bool = False) -> settings:
    """Return the settings for so many histories; `known`: the same ones each time, so that a gate says the same twice."""
    return settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        derandomize=known,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def main() -> None:
    """Run the soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=40, help="the most that happens in one history")
    parser.add_argument("--store", choices=STORES, default="memory")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(2**32), help="for the same histories again"
    )
    given = parser.parse_args()
    print(f"{given.histories} histories over {given.store}, --seed {given.seed}", flush=True)
    began = time.monotonic()
    with STORES[given.store]() as machine:
        factory: Any = seed(given.seed)(
            machine
        )  # Hypothesis takes a function, too, and its types do not say so
        run_state_machine_as_test(factory, settings=effort(given.histories, given.steps))
    print(f"{given.histories} histories held, in {time.monotonic() - began:.0f} s")
    print(statistics(HAPPENED))


def statistics(histories: Sequence[Counter[str]]) -> str:
    """Return a table: what happened, in how many of the histories, and how often in all."""
    happened = sum(histories, Counter())
    lines = ["histories      times  what happened"]
    for what, times in sorted(happened.items(), key=lambda each: -each[1]):
        share = sum(history[what] > 0 for history in histories) / len(histories)
        lines.append(f"{share:9.0%} {times:10,}  {what}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
