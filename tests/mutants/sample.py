"""Change one node of the program at a time, and see whether a test notices: `python -m tests.mutants.sample --seed 1`.

`make mutants` holds promises that somebody wrote down. This finds those that nobody did: a seeded sample over every
place where one comparison, condition, constant or statement can be another. Each is judged by the unit, property and
contract tests, those near to the module first. It takes minutes, proves nothing by itself and so is not in the gate.

Of the tools that are maintained, none draws a sample with a seed, leaves out a statement and works on a copy, all three.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

from tests.mutants.run import ROOT, copy_tree, run_test

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
SECONDS = 600
"""For the tests of one mutation: whatever hangs has been noticed."""
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


class Mutation(NamedTuple):
    """One node's place in a file, and what is put there."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

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
        case ast.Return(ast.expr()):
            return "return None"
    return None


def _opposite(operator: ast.AST) -> Any:
    return OPPOSITES[type(operator)]()


def mutations(path: str, source: bytes) -> Iterator[Mutation]:
    """Yield every mutation of a file."""
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        new = other(node)
        if new is not None and isinstance(node, ast.expr | ast.stmt):
            start = begins[node.lineno - 1] + node.col_offset
            end = begins[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
            yield Mutation(path, node.lineno, start, end, source[start:end].decode(), new)
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "decorator_list"} or isinstance(node, ast.JoinedStr):
                continue  # what a type checker judges; and the parser misplaces the parts of a formatted string
            waiting += [child for child in _listed(value) if isinstance(child, ast.AST)]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def near(path: str, tree: Path = ROOT) -> tuple[str, ...]:
    """Return the test files that name a module, and the folder of its package's unit tests."""
    module = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    package, _, name = module.rpartition(".")
    written = (f"{module} import", f"import {module}", f"from {package} import {name}")
    files = [file for folder in JUDGES for file in sorted((tree / folder).rglob("test_*.py"))]
    naming = [
        str(file.relative_to(tree))
        for file in files
        if any(text in file.read_text("utf-8") for text in written)
    ]
    folder = "/".join(("tests/unit", *module.split(".")[1:-1]))
    return (*naming, *([folder] if (tree / folder).is_dir() else []))


def noticed(mutation: Mutation, tree: Path) -> bool:
    """Whether a test of the copy in `tree` fails, or hangs, with the mutation."""
    file = tree / mutation.path
    source = file.read_bytes()
    file.write_bytes(mutation.apply(source))
    try:
        for tests in (near(mutation.path, tree), JUDGES):
            if tests and run_test(tree, tests, seconds=SECONDS)[0] not in PASSED:
                return True
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_bytes(source)
    return False


def sample(seed: int, count: int, only: str = "") -> list[Mutation]:
    """Draw mutations of the files whose path has `only` in it, in order of their places."""
    files = [file for package in PACKAGES for file in (ROOT / "src/closeout" / package).rglob("*.py")]
    named = {str(file.relative_to(ROOT)): file for file in files}
    found = [
        each for path in sorted(named) if only in path for each in mutations(path, named[path].read_bytes())
    ]
    return sorted(random.Random(seed).sample(found, min(count, len(found))))


def main() -> int:
    """Judge a sample; 0 when nine of ten were noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.sample", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--only", default="", help="a part of the path of the files to change")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    asked = parser.parse_args()
    chosen = sample(asked.seed, asked.count, asked.only)
    with tempfile.TemporaryDirectory(prefix="closeout-sample-") as folder:
        trees: Queue[Path] = Queue()
        for number in range(asked.jobs):
            tree = Path(folder, str(number))
            tree.mkdir()
            copy_tree(tree)
            trees.put(tree)

        def judge(mutation: Mutation) -> bool:
            tree = trees.get()
            try:
                seen = noticed(mutation, tree)
            finally:
                trees.put(tree)
            print(f"{'noticed  ' if seen else 'UNNOTICED'} {mutation}", flush=True)
            return seen

        with ThreadPoolExecutor(asked.jobs) as pool:
            seen = sum(pool.map(judge, chosen))
    print(f"{seen} of {len(chosen)} noticed (seed {asked.seed})")
    return 0 if seen >= ENOUGH * len(chosen) else 1


if __name__ == "__main__":
    raise SystemExit(main())
