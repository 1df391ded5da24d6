"""Change one node of the program at a time, and see whether a test notices: `python -m tests.mutants.sample --seed 1`.

`make mutants` holds promises that somebody wrote down. This finds those that nobody did: a seeded sample over every
place where one comparison, condition, constant or statement can be another. Each is judged by the unit, property and
contract tests that execute the changed line, and noticed when one fails that passes without the change. It takes minutes,
proves nothing by itself and so is not in the gate.

Some changes make no other program, or are for another judge, and are never drawn: those in texts (`other` changes no string,
`mutations` leaves out formatted ones), in annotations and decorators, which the type checker reads, `return None` in
place of another empty value (`EMPTY`), and what the program asserts to itself: `raise NotImplementedError` in a method that
each class below overrides, and `zip(..., strict=...)`. Code that stays the same under any other change is code to simplify.

Of the tools that are maintained, none draws a sample with a seed, leaves out a statement and works on a copy, all three.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from tests.mutants.executed import Executed, measure
from tests.mutants.run import ROOT, copy_tree, run_forked, run_test
from tests.temporary import use_memory

PACKAGES = (
    "actions",
    "adapters",
    "checks",
    "config",
    "core",
    "engine",
    "intake",
    "lambdas",
    "ledger",
    "orphans",
    "patrol",
    "run",
    "server",
    "stack",
)
JUDGES = ("tests/unit", "tests/properties", "tests/contract")
SDK = b"import aws_durable_execution_sdk_python", b"from aws_durable_execution_sdk_python"
"""Modules that import it can be run in the AWS side's environment only, and are judged by its tests."""
SDK_PYTHON = ROOT / ".venv-aws/bin/python"
SDK_JUDGES = tuple(
    (f"tests/aws/test_{name}.py",)
    for name in ("rechecks_on_the_runner", "worker_environment", "durable_runner", "quota", "patrol")
)
SECONDS = 900
"""For the tests of one mutation."""
OPTIONS = ("--timeout=60",)
"""A test that a mutation lets hang fails by its own limit, which no test comes near on a busy machine."""
LEFT_OUT = 3
"""Times that a test may be left out because it fails by itself."""
PASSED = (0, 5)
"""pytest's exit codes when all tests passed, and when there are none."""
ENOUGH = 0.9
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
        case ast.Raise(ast.Name("NotImplementedError")):
            return None
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
            if name == "keywords" and isinstance(node, ast.Call) and ast.unparse(node.func) == "zip":
                continue
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
    """Return the test files that name a module, the folder of its package's unit tests, and the files above that folder.

    Those above ask something of every module: a table of all actions' inputs names the registry and no action.
    """
    module = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    package, _, name = module.rpartition(".")
    written = (f"{module} import", f"import {module}", f"from {package} import {name}")
    naming = [
        str(file.relative_to(tree))
        for file in _files(tree)
        if any(text in file.read_text("utf-8") for text in written)
    ]
    folder = Path("tests/unit", *module.split(".")[1:-1])
    above = [
        str(file.relative_to(tree))
        for parent in folder.parents
        if parent.is_relative_to("tests/unit")
        for file in sorted((tree / parent).glob("test_*.py"))
    ]
    return tuple(dict.fromkeys((*naming, *([str(folder)] if (tree / folder).is_dir() else []), *above)))


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
    """Whether a test of the copy in `tree` fails, or hangs, with the mutation and passes without it.

    One that fails without it too says nothing, and is left out of a further try: pytest ends with the first that fails.
    """
    source = (tree / mutation.path).read_bytes()
    on_aws = any(written in source for written in SDK)
    failing = _failed_on_aws if on_aws else _failed
    for tests in SDK_JUDGES if on_aws else judges(mutation, executed, tree):
        left_out: tuple[str, ...] = ()
        for _ in range(LEFT_OUT + 1):
            with _mutated(tree / mutation.path, mutation.apply(source)):
                failed = failing(tree, tests, left_out) if tests else ()
            if not failed:
                break
            if not failing(tree, _all_cases(failed)):
                return True
            left_out += _all_cases(failed)
    return False


@contextmanager
def _mutated(file: Path, text: bytes) -> Iterator[None]:
    source, status = file.read_bytes(), file.stat()
    file.write_bytes(text)
    try:
        yield
    finally:
        file.write_bytes(source)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def _all_cases(tests: Iterable[str]) -> tuple[str, ...]:
    """Return the tests without the names of their cases: one that only the mutation makes cannot be run without it."""
    return tuple(dict.fromkeys(test.partition("[")[0] for test in tests))


def _failed(tree: Path, tests: Sequence[str], left_out: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what failed first of some tests, all of them when none could begin; nothing when the time was up."""
    try:
        code, failed, _ = run_forked(
            tree, tests, SECONDS, (*OPTIONS, *(f"--deselect={name}" for name in left_out))
        )
    except TimeoutError:
        return ()
    return () if code in PASSED else failed or tuple(tests)


def _failed_on_aws(tree: Path, tests: Sequence[str], left_out: Sequence[str] = ()) -> tuple[str, ...]:
    if left_out:
        return ()  # nothing is left of a file
    try:
        code, _ = run_test(tree, tests, seconds=SECONDS, python=SDK_PYTHON)
    except subprocess.TimeoutExpired:
        return ()
    return () if code in PASSED else tuple(tests)


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
    if not SDK_PYTHON.exists():
        parser.error("`make setup-aws` first: some modules run in the AWS side's environment only")
    os.environ["CLOSEOUT_TEST_AWS"] = "1"
    if not (asked.executed / "seconds").exists():
        print(f"Measuring which test executes which line, for {asked.executed}", flush=True)
        measure(asked.executed, ROOT, JUDGES, asked.jobs)
    samples = {seed: sample(seed, asked.count, asked.only) for seed in asked.seed}
    chosen = sorted({each for drawn in samples.values() for each in drawn})
    seen = judge(chosen, Executed(asked.executed), asked.jobs)
    print(table(seen))
    counts = {seed: sum(seen[each] for each in drawn) for seed, drawn in samples.items()}
    for seed, count in counts.items():
        print(f"{count} of {len(samples[seed])} noticed (seed {seed})")
    return 0 if all(count >= ENOUGH * len(samples[seed]) for seed, count in counts.items()) else 1


def judge(chosen: Sequence[Mutation], executed: Executed, jobs: int) -> dict[Mutation, bool]:
    """Return whether each was noticed; print it as soon as it is known."""
    found: dict[Mutation, bool] = {}
    use_memory()
    with tempfile.TemporaryDirectory(prefix="closeout-sample-") as folder, ThreadPoolExecutor(jobs) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            tree = Path(folder, str(number), "tree")
            tree.mkdir(parents=True)
            copy_tree(tree)
            trees.put(tree)

        def seen(mutation: Mutation) -> bool:
            tree = trees.get()
            try:
                return noticed(mutation, executed, tree)
            finally:
                trees.put(tree)

        waiting = {pool.submit(seen, mutation): mutation for mutation in chosen}
        for future in as_completed(waiting):
            mutation = waiting[future]
            found[mutation] = future.result()
            said = "noticed  " if found[mutation] else "UNNOTICED"
            print(f"{len(found):3}/{len(chosen)} {said} {mutation}", flush=True)
    return found


def table(seen: Mapping[Mutation, bool]) -> str:
    """Return how many were noticed in each package."""
    drawn = Counter(each.path.split("/")[2] for each in seen)
    found = Counter(each.path.split("/")[2] for each, yes in seen.items() if yes)
    return "\n".join(f"{package:10} {found[package]:4} of {drawn[package]:4}" for package in sorted(drawn))


if __name__ == "__main__":
    raise SystemExit(main())
