"""Many histories of the model: `make soak`, which the gate runs. It prints how many held, and what happened in them.

Without `--store` it makes 2,000 in memory and 100 over SQLite, on all processors, each time others. Where one does not hold,
it prints the history and the command that makes the same again.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import HAPPENED, Closings
from tests.model.on_disk import ClosingsOnDisk
from tests.temporary import use_memory

FIGURES = {"sqlite": 100, "memory": 2_000}
"""Histories that are made without `--store`, by store."""
AT_ONCE = 250
"""Histories that one process makes in a row: to make them again after a failure takes half a minute."""


@contextmanager
def _on_dynamodb() -> Iterator[Callable[[], Closings]]:
    from tests.model.on_dynamodb import ClosingsOnDynamodb
    from tests.stack_aws import StackAws

    with StackAws() as aws:
        yield lambda: ClosingsOnDynamodb(aws)


STORES: Mapping[str, Callable[[], AbstractContextManager[Callable[[], Closings]]]] = {
    "memory": lambda: nullcontext(Closings),
    "sqlite": lambda: nullcontext(ClosingsOnDisk),
    "dynamodb": _on_dynamodb,
}


class Share(NamedTuple):
    """What one process makes in a row: the same values give the same histories."""

    store: str
    histories: int
    seed: int
    steps: int

    def __str__(self) -> str:
        given = f"--store {self.store} --histories {self.histories} --steps {self.steps} --seed {self.seed}"
        return f"make soak ARGS='{given}'"


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


def shares(figures: Mapping[str, int], first_seed: int, steps: int) -> list[Share]:
    """Divide so many histories of each store among processes; each share has a seed of its own."""
    sizes = [
        (store, min(AT_ONCE, histories - begun))
        for store, histories in figures.items()
        for begun in range(0, histories, AT_ONCE)
    ]
    return [Share(store, size, first_seed + place, steps) for place, (store, size) in enumerate(sizes)]


def make(share: Share) -> tuple[list[Counter[str]], str]:
    """Make histories; return what happened in each that held, and the one that did not, as text."""
    gc.set_threshold(100_000, 10, 10)  # histories leave little garbage and many objects: a tenth of the time
    before = len(HAPPENED)
    try:
        with STORES[share.store]() as machine:
            seeded: Any = seed(share.seed)(machine)  # Hypothesis takes a factory as well
            run_state_machine_as_test(seeded, settings=effort(share.histories, share.steps))
    except Exception:  # also several failures, as a group
        return HAPPENED[before:], traceback.format_exc()
    return HAPPENED[before:], ""


def make_all(all_shares: Sequence[Share]) -> tuple[list[Counter[str]], int]:
    """Make each share in one of as many processes as there are processors; return what happened, and how many did not hold."""
    happened: list[Counter[str]] = []
    failed = 0
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(all_shares))) as pool:
        made = {pool.submit(make, share): share for share in all_shares}
        for done in as_completed(made):
            histories, failure = done.result()
            happened += histories
            failed += tell(made[done], failure)
    return happened, failed


def tell(share: Share, failure: str) -> bool:
    """Print what did not hold, at once, and how to see it again; return whether there is anything."""
    if failure:
        print(f"{failure}\nThis did not hold. The same histories again: {share}", flush=True)
    return bool(failure)


def main() -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--histories", type=int, help="how many of the store; 2,000 unless you say it")
    parser.add_argument("--steps", type=int, default=40, help="the most that happens in one history")
    parser.add_argument("--store", choices=STORES, help="one store only, in one process")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(2**32), help="for the same histories again"
    )
    given = parser.parse_args()
    use_memory()
    began = time.monotonic()
    if given.store:
        share = Share(given.store, given.histories or FIGURES["memory"], given.seed, given.steps)
        print(share, flush=True)
        happened, failure = make(share)
        failed = int(tell(share, failure))
    else:
        figures = {**FIGURES, "memory": given.histories or FIGURES["memory"]}
        parts = shares(figures, given.seed, given.steps)
        told = ", ".join(f"{count} histories over {store}" for store, count in figures.items())
        print(f"{told}: make soak ARGS='--seed {given.seed}'", flush=True)
        happened, failed = make_all(parts)
    print(f"{len(happened)} histories held, in {time.monotonic() - began:.0f} s")
    print(statistics(happened))
    return 1 if failed else 0


def statistics(histories: Sequence[Counter[str]]) -> str:
    """Return a table: what happened, in how many of the histories, and how often in all."""
    happened = sum(histories, Counter())
    lines = ["histories      times  what happened"]
    for what, times in sorted(happened.items(), key=lambda each: -each[1]):
        share = sum(history[what] > 0 for history in histories) / len(histories)
        lines.append(f"{share:9.0%} {times:10,}  {what}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
