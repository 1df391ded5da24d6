"""Put a package's compiled modules into one file, from which `loader` takes them in the receiver's environment."""

from __future__ import annotations

from pathlib import Path

LOADER = Path(__file__).with_name("loader.py")
BESIDE = "modules"
_HEAD = 16
"""Bytes of a `.pyc` before its code: whether it is for this Python is seen at the loader's own."""


def pack(package: Path) -> None:
    """Replace the `.pyc` files of a package by the file and by the loader's source, which is then to be compiled."""
    lines = []
    codes = bytearray()
    for path in sorted(package.rglob("*.pyc")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        kind, parts = ("package", parts[:-1]) if parts[-1] == "__init__" else ("module", parts)
        code = path.read_bytes()[_HEAD:]
        lines.append(f"{'.'.join(parts)} {kind} {len(codes)} {len(codes) + len(code)}")
        codes += code
        path.unlink()
    for folder in sorted((path for path in package.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    (package / BESIDE).write_bytes("\n".join(lines).encode() + b"\n\n" + codes)
    (package / "__init__.py").write_bytes(LOADER.read_bytes())


def names(package: Path) -> dict[str, str]:
    """Return the modules in the file, each with `package` or `module`."""
    head = (package / BESIDE).read_bytes().partition(b"\n\n")[0].decode()
    return {name: kind for name, kind, *_ in (line.split() for line in head.split("\n"))}
