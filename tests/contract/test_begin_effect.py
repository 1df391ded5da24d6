"""An effect that began and cannot be verified: whichever process continues knows that it may have happened.

And only then: an effect that a pause held, for hours and over restarts, has not begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from closeout.engine.durable import Abandoned
from closeout.engine.lambda_ import DONE
from closeout.ports import Durable, Ending, Execution
from tests.contract.local_harness import Bench, eventually
from tests.contract.remote_harness import FOREVER, RemoteBench
from tests.stack_aws import StackAws


class Script:
    """A run function of one guarded operation. `held` says whether a guard holds it; `effect` is its effect."""

    def __init__(self) -> None:
        self.polls = 0
        self.begins: list[str] = []
        self.held = True
        self.effect: Callable[[], object] = lambda: None

    def __call__(self, durable: Durable, execution: Execution) -> Ending:
        def poll() -> bool | None:
            self.polls += 1
            if self.held:
                return None
            self.begins.append(durable.begin_effect())
            self.effect()
            return True

        durable.wait_until("effect", poll, 0.01, 600)
        return Ending("success", "done")


def run_on_one_machine(path: Path, script: Script, end: Callable[[Bench], None]) -> None:
    """Hold a run in the first process, begin it in the second, which `end` ends meanwhile, and finish it in the third."""
    first = Bench(path, script)
    first.engine.start()
    first.accept("a")
    eventually(lambda: script.polls > 1)
    first.crash()
    inside, go_on = threading.Event(), threading.Event()

    def lasts() -> None:
        inside.set()
        go_on.wait(10)

    script.held, script.effect = False, lasts
    second = Bench(path, script)
    second.engine.start()
    assert inside.wait(5)
    end(second)
    script.effect = lambda: None
    third = Bench(path, script)
    third.engine.start()
    assert third.ending("a").verdict == "success"
    go_on.set()
    third.close()


def test_a_crash_on_one_machine(tmp_path: Path) -> None:
    """The effect may have happened, and it may have killed the process."""
    script = Script()
    run_on_one_machine(tmp_path / "ledger.db", script, Bench.crash)
    assert script.begins == ["begun", "again"]


def test_a_restart_on_one_machine(tmp_path: Path) -> None:
    """A restart that cannot wait for the effect is no crash; it may have happened all the same."""

    def stop(bench: Bench) -> None:
        assert not bench.engine.stop(0.1)
        bench.close(timeout=0.0)

    script = Script()
    run_on_one_machine(tmp_path / "ledger.db", script, stop)
    assert script.begins == ["begun", "again"]


def test_a_lost_environment_on_aws(aws: StackAws) -> None:
    """Another environment takes over each time; Lambda ends the second one in the middle."""
    script = Script()
    bench = RemoteBench(aws, script)

    def dies() -> None:
        raise Abandoned

    a = bench.accept("a")
    assert bench.process().advance(a, lambda: FOREVER) != DONE
    script.held, script.effect = False, dies
    assert eventually(lambda: bench.process().advance(a, lambda: FOREVER) != DONE and script.begins), (
        "once it is due"
    )
    script.effect = lambda: None
    assert eventually(lambda: bench.process().advance(a, lambda: FOREVER) == DONE)
    assert script.begins == ["begun", "again"]
    assert bench.operations(a)["effect"].tries == 3, "held, cut off, done"
