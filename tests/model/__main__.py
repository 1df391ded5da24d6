"""Many histories of the model: `python -m tests.model --histories 2000`. Without an error it prints how many held."""

from __future__ import annotations

import argparse
import time

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Closings
from tests.model.on_disk import ClosingsOnDisk

STORES = {"memory": Closings, "sqlite": ClosingsOnDisk}


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
    given = parser.parse_args()
    began = time.monotonic()
    run_state_machine_as_test(STORES[given.store], settings=effort(given.histories, given.steps))
    print(f"{given.histories} histories held, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
