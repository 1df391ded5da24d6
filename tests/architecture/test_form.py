"""The form of the code: small modules and functions, names that say something, no assert in a guard's place."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.tree import listing, nodes, nodes_of, place, python_files, text_of

MODULE_LINES = 400
FUNCTION_LINES = 60
VAGUE = {"util", "utils", "helper", "helpers", "common", "base", "manager", "managers", "misc"}


def test_modules_have_at_most_400_lines() -> None:
    """A module that outgrows 400 lines is split on its nouns."""
    long = [
        f"{place(path)}: {lines} lines"
        for path in python_files("src", "bench", "tests/architecture", "tests/packaging")
        if (lines := len((text_of(path) or "").splitlines())) > MODULE_LINES
    ]
    assert not long, listing(long)


def test_functions_have_at_most_60_lines() -> None:
    """A function fits on one screen, its docstring included."""
    long = [
        f"{place(path, node.lineno)}: {node.name} has {lines} lines"
        for path, node in nodes("src", "bench")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not long, listing(long)


def test_no_module_has_a_name_that_says_nothing() -> None:
    """A module is named after its noun: what lands in `utils` has no place of its own yet."""
    vague = [
        place(path)
        for path in python_files("src", "tests", "bench", "docs")
        if VAGUE & {part.removeprefix("test_") for part in Path(place(path)).with_suffix("").parts[-3:]}
    ]
    assert not vague, listing(vague)


def test_every_module_of_the_product_says_why_it_exists() -> None:
    """Each module opens with its responsibility in one line, and all but packages say more after a blank line."""
    silent = []
    for path in python_files("src"):
        module = nodes_of(path)[0]
        assert isinstance(module, ast.Module)
        text = ast.get_docstring(module)
        if not text or (path.stem not in {"__init__", "__main__"} and "\n\n" not in text):
            silent.append(place(path, 1))
    assert not silent, listing(silent)


def test_asserts_only_narrow_types() -> None:
    """`python -O` removes asserts, so in the product they tell the type checker something and refuse nothing."""
    guards = [
        f"{place(path, node.lineno)}: assert {ast.unparse(node.test)}"
        for path, node in nodes("src")
        if isinstance(node, ast.Assert) and not _narrows(node.test)
    ]
    assert not guards, listing(guards)


def _narrows(test: ast.expr) -> bool:
    """Whether it is `isinstance(…)`, `… is [not] None`, or several of these joined."""
    if isinstance(test, ast.BoolOp):
        return all(_narrows(value) for value in test.values)
    if isinstance(test, ast.Call):
        return isinstance(test.func, ast.Name) and test.func.id == "isinstance"
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.Is | ast.IsNot)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )


def test_no_thread_keeps_a_process_alive() -> None:
    """The product starts each of its threads as `core.threads.background`, which no exit waits for."""
    strays = [
        place(path, node.lineno)
        for path, node in nodes("src")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"threading.Thread", "Thread"}
        if "closeout/testing/" not in place(path) and path.stem != "threads"
    ]
    assert not strays, listing(strays)


def test_nothing_is_patched_in_tests() -> None:
    """Tests inject what they replace: `unittest.mock` is imported nowhere."""
    imports = [
        place(path, node.lineno)
        for path, node in nodes("src", "tests", "bench")
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("unittest", "mock")))
        or (isinstance(node, ast.Import) and any(a.name.startswith(("unittest", "mock")) for a in node.names))
    ]
    assert not imports, listing(imports)


def test_every_test_states_the_behaviour_as_a_fact() -> None:
    """A test without a docstring leaves its reader to guess what has broken."""
    silent = [
        f"{place(path, node.lineno)}: {node.name}"
        for path, node in nodes("tests")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and path.stem.startswith("test_")
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent, listing(silent)


def test_no_test_is_skipped_without_a_written_reason() -> None:
    """`skip`, `skipif` and `xfail` say why, so that a skipped test is a decision that somebody can question."""
    mute = [
        place(path, node.lineno)
        for path, node in nodes("tests")
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"skip", "skipif", "xfail"}
        and not any(keyword.arg == "reason" for keyword in node.keywords)
        and not (node.func.attr != "skipif" and node.args)
    ]
    assert not mute, listing(mute)
