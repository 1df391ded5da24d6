"""The project's own files as the architecture tests see them.

They stand here once so that every rule looks at the same files: what git tracks or would track.
"""

from __future__ import annotations

import ast
import gc
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IGNORED = {".git", ".venv", ".venv-bench", "node_modules", "__pycache__", "dist", "build"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks, or would with `git add`: nothing that it ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in sorted(listed.stdout.decode().split("\0")) if name]
    else:  # an unpacked archive, or a copy of the tree
        paths = sorted(path for path in ROOT.rglob("*") if not IGNORED & set(path.relative_to(ROOT).parts))
    return tuple(path for path in paths if path.is_file())


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """The Python files below any of these folders of the project."""
    roots = [ROOT / folder for folder in folders]
    return tuple(
        path for path in files() if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots)
    )


@cache
def text_of(path: Path) -> str | None:
    """The file's text, or None for a binary file."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of the file's syntax tree, itself first."""
    gc.disable()  # they are many, and kept: no garbage is among them
    try:
        return tuple(ast.walk(ast.parse(path.read_bytes(), str(path))))
    finally:
        gc.freeze()
        gc.enable()


def nodes(*folders: str) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of every Python file below these folders, with its file."""
    for path in python_files(*folders):
        for node in nodes_of(path):
            yield path, node


def place(path: Path, line: int | None = None) -> str:
    """`FILE:LINE`, from the project's root: an editor opens it."""
    name = path.relative_to(ROOT).as_posix()
    return name if line is None else f"{name}:{line}"


def listing(findings: list[str]) -> str:
    """Findings one a line, for a failure that can be read."""
    return "\n" + "\n".join(findings)
