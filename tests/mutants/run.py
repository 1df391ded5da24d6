"""`make mutants`: sabotage one line at a time and see a named test turn red.

A promise that no test would miss is no promise. Each mutant is applied to a copy of the tree; its test must pass on
the untouched copy and fail on the sabotaged one. A mutant whose line is no longer there is an error, too: the list
moves with the code.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import forks
from tests.mutants import forked
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.temporary import use_memory

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("src", "tests", "schema", "docs", "cdk", "pyproject.toml", "README.md", "CHANGELOG.md")
LEFT_OUT = ("__pycache__", "node_modules", "cdk.out", ".bundles")
EMULATOR = ".venv-emulator"
"""The environment of the emulated account, for the contracts with AWS."""
SECONDS = 120
"""For the tests of one mutant."""
ALL_SECONDS = 900
"""For the tests of all mutants, before anything is sabotaged."""
FORKS = multiprocessing.get_context("forkserver")


def copy_tree(target: Path) -> None:
    """Copy what the tests need, without caches."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        elif source.exists():
            shutil.copy(source, target / name)
    (target / EMULATOR).symlink_to(ROOT / EMULATOR)


def run_test(
    tree: Path,
    tests: Sequence[str],
    jobs: int = 0,
    seconds: int = SECONDS,
    python: str | Path = sys.executable,
) -> tuple[int, str]:
    """Run tests in a tree; return pytest's exit code (1: a test failed) and the end of its output.

    They keep what they compiled: copies of the tree have it too, and compile the sabotaged file alone.
    """
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-n",
        str(jobs),
        *(("-c", "cdk/pytest.ini") if tests[0].startswith("cdk/") else ()),
        *tests,
    ]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    return done.returncode, done.stdout[-1500:] + done.stderr[-500:]


def run_forked(
    tree: Path, tests: Sequence[str], seconds: int = SECONDS, options: Sequence[str] = ()
) -> tuple[int, tuple[str, ...], str]:
    """Run tests in a tree, in a process that has imported pytest and its plugins already.

    Return pytest's exit code, what failed, and the end of its output. Raises `TimeoutError`.
    """
    output, failed = tree.parent / "output", tree.parent / "output.failed"
    for file in (output, failed):
        file.write_text("", "utf-8")
    # Here and not at the import: a process has one such list, and the architecture's tests import this module too.
    FORKS.set_forkserver_preload(list(forked.PRELOADED))
    process = FORKS.Process(target=forked.run, args=(str(tree), tests, str(output), options))
    forks.begin(process)
    code = forks.exit_code(process, seconds)
    if code is None:
        process.kill()
        forks.exit_code(process, None)
        raise TimeoutError
    names = tuple(failed.read_text("utf-8").splitlines())
    return code, names, output.read_text("utf-8", "replace")[-2000:]


def sabotage(mutant: Mutant, untouched: Path) -> str | None:
    """Return None when the named test caught the mutant in a copy of the tree, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="closeout-mutant-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(untouched, tree, symlinks=True, copy_function=os.link)
        path = tree / mutant.path
        text = path.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            return f"its line stands {text.count(mutant.old)} times in {mutant.path}, expected once"
        path.unlink()  # of the untouched tree, too, it is one file
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            code, _, output = run_forked(tree, mutant.tests)
        except TimeoutError:
            return None  # a sabotaged program that hangs its test has been noticed as well
    if code == 0:
        return f"survived: {' '.join(mutant.tests)} still passes"
    if code != 1:
        return f"pytest ended with {code}, so no test judged it:\n{output}"
    return None


def run_all(mutants: tuple[Mutant, ...], words: list[str]) -> int:
    """Check that all named tests pass as they are, then try every mutant; 0 when each was caught."""
    chosen = [mutant for mutant in mutants if not words or any(word in mutant.name for word in words)]
    use_memory()
    with tempfile.TemporaryDirectory(prefix="closeout-untouched-") as folder:
        untouched = Path(folder) / "tree"
        untouched.mkdir()
        copy_tree(untouched)
        return _try_all(chosen, untouched)


def _try_all(chosen: list[Mutant], untouched: Path) -> int:
    started = time.monotonic()
    tests = dict.fromkeys(test for mutant in chosen for test in mutant.tests)
    jobs = os.cpu_count() or 2
    for cdk in (False, True):  # these have a configuration of their own
        some = tuple(test for test in tests if test.startswith("cdk/") is cdk)
        code, output = run_test(untouched, some, jobs, ALL_SECONDS) if some else (0, "")
        if code != 0:
            print(output)
            print("the named tests must pass before anything is sabotaged")
            return 1
    missed = []
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        problems = pool.map(lambda mutant: sabotage(mutant, untouched), chosen)
        for mutant, problem in zip(chosen, problems, strict=True):
            print(f"{'caught ' if problem is None else 'MISSED '} {mutant.name}", flush=True)
            if problem is not None:
                missed.append(f"{mutant.name}\n        {problem}")
                print(f"        {problem}")
    # Once more at the end: of a long log, people often have the end alone.
    for one in missed:
        print(f"MISSED  {one}")
    print(
        f"{len(chosen) - len(missed)} of {len(chosen)} mutants caught in {time.monotonic() - started:.0f} s"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(run_all(MUTANTS, sys.argv[1:]))
