"""Error codes are an interface: unique, documented, and defined in one module."""

from __future__ import annotations

import ast
from collections import Counter

from docs.generate import error_classes, errors_page, stale
from tests.architecture.tree import listing, nodes, place


def test_error_codes_are_unique() -> None:
    """No two error classes share a code, and each class sets its own."""
    classes = list(error_classes())
    shared = [code for code, count in Counter(error.code for error in classes).items() if count > 1]
    inherited = [error.__name__ for error in classes if "code" not in vars(error)]
    assert not shared, f"codes used twice: {shared}"
    assert not inherited, f"classes without a code of their own: {inherited}"


def test_error_codes_and_statuses_are_well_formed() -> None:
    """A code is lower-case words joined by dashes, and a status is one that HTTP has for errors."""
    for error in error_classes():
        assert all(word.isalpha() and word.islower() for word in error.code.split("-")), error.__name__
        assert 400 <= error.status < 600, error.__name__


def test_every_error_code_is_documented() -> None:
    """The reference has one row for each class, and each class has a docstring to fill it."""
    page = errors_page()
    undocumented = [error.__name__ for error in error_classes() if not error.__doc__]
    absent = [error.code for error in error_classes() if f"| `{error.code}` |" not in page]
    assert not undocumented, undocumented
    assert not absent, absent


def test_the_generated_reference_is_up_to_date() -> None:
    """What is committed under docs/reference is what the code says today (`make fix` writes it)."""
    assert not stale(), stale()


def test_codes_are_set_in_the_module_of_errors_only() -> None:
    """A class elsewhere may refine an error, but a new code goes where its uniqueness is seen."""
    names = {error.__name__ for error in error_classes()}
    strays = [
        f"{place(path, node.lineno)}: {node.name}"
        for path, node in nodes("src")
        if isinstance(node, ast.ClassDef)
        and path.name != "errors.py"
        and any(isinstance(parent, ast.Name) and parent.id in names for parent in node.bases)
        and any(_sets_code(statement) for statement in node.body)
    ]
    assert not strays, listing(strays)


def _sets_code(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AnnAssign):
        targets: list[ast.expr] = [statement.target]
    else:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "code" for target in targets)
