"""Change one node of the program at a time, and see whether a test notices: `python -m tests.mutants.sample --seed 1`.

`make mutants` holds promises that somebody wrote down. This finds those that nobody did: a seeded sample over every
place where one comparison, condition, constant or statement can be another. Each is judged by the unit, property and
contract tests that execute the changed line. It takes minutes, proves nothing by itself and so is not in the gate.

Of the tools that are maintained, none draws a sample with a seed, leaves out a statement and works on a copy, all three.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.mutants.executed import Executed, measure
from tests.mutants.run import ROOT, copy_tree

PACKAGES = (
    "actions",
    "adapters",
    "config",
    "core",
    "engine",
    "intake",
    "lambdas",
    "ledger",
    "run",
    "server",
    "stack",
)
JUDGES = ("tests/unit", "tests/properties", "tests/contract")
SECONDS = 900
"""For the tests of one mutation: whatever hangs has been noticed."""
TEST_SECONDS = 60
"""For one test."""
PASSED = (0, 5)
"""pytest's exit codes when all tests passed, and when there are none."""
ENOUGH = 0.9
PRELOADED = (
    "hypothesis",
    "moto.server",
    "boto3",
    "starlette.applications",
    "jinja2",
    "ruamel.yaml",
    "uvloop",
    "xdist",
)
OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    one: other
    for pair in (
        (ast.Eq, ast.NotEq), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Is, ast.IsNot), (ast.In, ast.NotIn),
        (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv),
    )
    for one, other in (pair, pair[::-1])
}  # fmt: skip


EMPTY = ("return None", "return False", "return ''", "return b''", "return ()")
"""Beside these, `return None` is for the type checker to find: whoever asks whether there is something gets the same."""


class Mutation(NamedTuple):
    """One node's place in a file, and what is put there."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str
    statement: tuple[int, int]
    """The lines of its statement, without those of a block below it."""

    def __str__(self) -> str:
        """Return `file:line  old → new` on one line."""
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.path}:{self.line}  {old[:70]} → {new[:70]}"

    def apply(self, source: bytes) -> bytes:
        """Return the file with it."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def other(node: ast.AST) -> str | None:
    """Return what can stand in a node's place, if there is something."""
    match node:
        case ast.Compare(left, [operator], [right]):
            return f"({ast.unparse(ast.Compare(left, [_opposite(operator)], [right]))})"
        case ast.BoolOp(operator, values):
            return f"({ast.unparse(ast.BoolOp(_opposite(operator), values))})"
        case ast.BinOp(left, operator, right) if type(operator) in OPPOSITES:
            return f"({ast.unparse(ast.BinOp(left, _opposite(operator), right))})"
        case ast.UnaryOp(ast.Not(), operand):
            return f"({ast.unparse(operand)})"
        case ast.Constant(bool(value)):
            return str(not value)
        case ast.Constant(int(value)) if value in (0, 1):
            return str(1 - value)
        case ast.Raise() | ast.AugAssign() | ast.Expr(ast.Call()):
            return "pass"
        case ast.Return(ast.expr()) if ast.unparse(node) not in EMPTY:
            return "return None"
    return None


def _opposite(operator: ast.AST) -> Any:
    return OPPOSITES[type(operator)]()


def mutations(path: str, source: bytes) -> Iterator[Mutation]:
    """Yield every mutation of a file."""
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    waiting: list[tuple[ast.AST, tuple[int, int]]] = [(ast.parse(source), (0, 0))]
    while waiting:
        node, statement = waiting.pop()
        if isinstance(node, ast.stmt):
            statement = _lines(node)
        new = other(node)
        if new is not None and isinstance(node, ast.expr | ast.stmt):
            start = begins[node.lineno - 1] + node.col_offset
            end = begins[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
            yield Mutation(path, node.lineno, start, end, source[start:end].decode(), new, statement)
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "decorator_list"} or isinstance(node, ast.JoinedStr):
                continue  # what a type checker judges; and the parser misplaces the parts of a formatted string
            waiting += [(child, statement) for child in _listed(value) if isinstance(child, ast.AST)]


def _lines(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if not body:
        return statement.lineno, statement.end_lineno or statement.lineno
    first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
    return statement.lineno, max(statement.lineno, first.lineno - 1)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def near(path: str, tree: Path = ROOT) -> tuple[str, ...]:
    """Return the test files that name a module, and the folder of its package's unit tests."""
    module = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    package, _, name = module.rpartition(".")
    written = (f"{module} import", f"import {module}", f"from {package} import {name}")
    naming = [
        str(file.relative_to(tree))
        for file in _files(tree)
        if any(text in file.read_text("utf-8") for text in written)
    ]
    folder = "/".join(("tests/unit", *module.split(".")[1:-1]))
    return (*naming, *([folder] if (tree / folder).is_dir() else []))


def _files(tree: Path) -> list[Path]:
    return [file for folder in JUDGES for file in sorted((tree / folder).rglob("test_*.py"))]


def judges(mutation: Mutation, executed: Executed, tree: Path) -> Iterator[tuple[str, ...]]:
    """Yield the tests to run one after another, until one fails: those that execute the line, then those of its module.

    The second matter only where an import or another process executes the line, for nobody knows which tests that serves.
    What has changed since `executed` was measured is not believed: a changed test file runs as a whole, and the lines of
    a changed module are as unknown as those of an import.
    """
    newer = {str(f.relative_to(tree)) for f in _files(tree) if f.stat().st_mtime > executed.measured_at}

    def known(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(
            n for n in names if (file := n.partition("::")[0]) not in newer and (tree / file).exists()
        )

    changed = (tree / mutation.path).stat().st_mtime > executed.measured_at
    lines = range(mutation.statement[0], mutation.statement[1] + 1)
    names, elsewhere = ([], True) if changed else executed.tests(mutation.path, lines)
    yield (*known(names), *sorted(newer))
    if elsewhere or not names:
        yield near(mutation.path, tree)
        yield known(executed.tests(mutation.path)[0])


def noticed(mutation: Mutation, executed: Executed, tree: Path) -> bool:
    """Whether a test of the copy in `tree` fails, or hangs, with the mutation."""
    file = tree / mutation.path
    source, status = file.read_bytes(), file.stat()
    chosen = [tests for tests in judges(mutation, executed, tree) if tests]
    file.write_bytes(mutation.apply(source))
    try:
        return any(forked_pytest(tree, tests) not in PASSED for tests in chosen)
    finally:
        file.write_bytes(source)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def preload() -> None:
    """Import what tests need of others, once for all mutations: it takes longer than most tests."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def forked_pytest(tree: Path, tests: Sequence[str]) -> int:
    """Run tests in a fork of this process, which has imported nothing of the program; return pytest's exit code."""
    names = tree / "judges"
    names.write_text("\n".join(tests), "utf-8")
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os._exit(_pytest(tree, names))
        os._exit(1)
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def _pytest(tree: Path, names: Path) -> int:
    os.setpgid(0, 0)
    os.chdir(tree)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("closeout", "tests")]:
        del sys.modules[name]
    sys.path[:] = [str(tree / "src"), str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = str(tree / "src")
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-n", "0"]
    return int(pytest.main([*options, f"--timeout={TEST_SECONDS}", f"@{names}"]))


def sample(seed: int, count: int, only: str = "") -> list[Mutation]:
    """Draw mutations of the files whose path has `only` in it, in order of their places."""
    files = [file for package in PACKAGES for file in (ROOT / "src/closeout" / package).rglob("*.py")]
    named = {str(file.relative_to(ROOT)): file for file in files}
    found = [
        each for path in sorted(named) if only in path for each in mutations(path, named[path].read_bytes())
    ]
    return sorted(random.Random(seed).sample(found, min(count, len(found))))


def main() -> int:
    """Judge a sample for each seed; 0 when nine of ten were noticed with every seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.sample", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, nargs="+")
    parser.add_argument("--count", type=int, default=60, help="for each seed")
    parser.add_argument("--only", default="", help="a part of the path of the files to change")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument(
        "--executed",
        type=Path,
        default=ROOT / ".coverage-of-tests",
        help="the folder of what executes which line; remove it to have it measured again",
    )
    asked = parser.parse_args()
    if not (asked.executed / "seconds").exists():
        print(f"Measuring which test executes which line, for {asked.executed}", flush=True)
        measure(asked.executed, ROOT, JUDGES)
    samples = {seed: sample(seed, asked.count, asked.only) for seed in asked.seed}
    seen = judge(sorted({each for drawn in samples.values() for each in drawn}), asked.executed, asked.jobs)
    print(table(seen))
    counts = {seed: sum(seen[each] for each in drawn) for seed, drawn in samples.items()}
    for seed, count in counts.items():
        print(f"{count} of {len(samples[seed])} noticed (seed {seed})")
    return 0 if all(count >= ENOUGH * len(samples[seed]) for seed, count in counts.items()) else 1


def judge(chosen: Sequence[Mutation], executed: Path, jobs: int) -> dict[Mutation, bool]:
    """Return whether each was noticed; print it as soon as it is known."""
    preload()
    found: dict[Mutation, bool] = {}
    with (
        tempfile.TemporaryDirectory(prefix="closeout-sample-") as folder,
        multiprocessing.get_context("fork").Pool(jobs, _begin, (Path(folder), executed)) as pool,
    ):
        for mutation, seen in pool.imap_unordered(_judge, chosen):
            found[mutation] = seen
            number = f"{len(found):3}/{len(chosen)}"
            print(f"{number} {'noticed  ' if seen else 'UNNOTICED'} {mutation}", flush=True)
    return found


_worker: tuple[Path, Executed]
"""The tree of this worker process, and what is known of the tests."""


def _begin(folder: Path, executed: Path) -> None:
    global _worker  # noqa: PLW0603 - a pool's initializer has no other way
    tree = folder / str(os.getpid())
    tree.mkdir()
    copy_tree(tree)
    _worker = tree, Executed(executed)


def _judge(mutation: Mutation) -> tuple[Mutation, bool]:
    tree, executed = _worker
    return mutation, noticed(mutation, executed, tree)


def table(seen: Mapping[Mutation, bool]) -> str:
    """Return how many were noticed in each package."""
    drawn = Counter(each.path.split("/")[2] for each in seen)
    found = Counter(each.path.split("/")[2] for each, yes in seen.items() if yes)
    return "\n".join(f"{package:10} {found[package]:4} of {drawn[package]:4}" for package in sorted(drawn))


if __name__ == "__main__":
    raise SystemExit(main())
