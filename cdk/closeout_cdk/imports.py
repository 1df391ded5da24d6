"""Find the modules of closeout that a handler imports, from the sources and without running them.

The receiver's bundle contains exactly these: other code can neither slow its cold start nor be attacked.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "closeout"


def closure(
    entries: Iterable[str], sources: Path, without: Iterable[str] = (), libraries: Iterable[str] = ()
) -> tuple[Path, ...]:
    """Return the files of the modules `entries`, of everything that they import from closeout, and of the packages around them.

    Imports inside functions count; those under `if TYPE_CHECKING:` do not. A package's `__getattr__` does not count: its
    imports are followed when a module names them. `without` are modules that are never reached. Raises `LookupError` for a
    module that does not exist, or that is not closeout's, Python's own or one of `libraries`.
    """
    left_out, known = set(without), sys.stdlib_module_names | set(libraries)
    found: dict[str, Path] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in found or name in left_out:
            continue
        path = _file(name, sources)
        if path is None:
            raise LookupError(f"there is no module {name} below {sources.name}/")
        found[name] = path
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[:end]) for end in range(1, len(parents) + 1)]
        for module in _imported(path, sources):
            top = module.split(".")[0]
            if top == PACKAGE:
                waiting.append(module)
            elif top not in known:
                raise LookupError(f"{name} imports {top}, which is not in Python's own library")
    return tuple(sorted(found.values()))


def _file(name: str, sources: Path) -> Path | None:
    base = sources.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imported(path: Path, sources: Path) -> Iterator[str]:
    for node in _reached(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if _file(name, sources) is not None:
                    yield name


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that can run: not `if TYPE_CHECKING:`, not a package's `__getattr__`."""
    yield node
    if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", None) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _reached(other)
            continue
        yield from _reached(child)
