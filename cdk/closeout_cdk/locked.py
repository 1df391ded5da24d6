"""The files of locked requirements: each line pinned and hashed, and no two of them at odds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from closeout_cdk.parameters import ParameterError

_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;]+)")
_INDEX = ("-i", "--index-url", "--extra-index-url", "--find-links", "-f")


def check(locks: Sequence[Path]) -> None:
    """Raise `ParameterError` for a line without a hash, an index's address, or two versions of one package."""
    pinned: dict[str, tuple[str, str]] = {}
    for lock in locks:
        for line in _lines(lock):
            first = line.split()[0]
            if first.partition("=")[0] in _INDEX:
                raise ParameterError(
                    f"{lock.name}: an index's address does not belong into it; set PIP_INDEX_URL"
                )
            if first.startswith("-"):
                raise ParameterError(f"{lock.name}: `{first}` cannot be used; the file lists packages only")
            found = _PINNED.match(line)
            if found is None or "--hash=sha256:" not in line:
                raise ParameterError(
                    f"{lock.name}: `{first}` is not pinned by a hash; make the file with"
                    " `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`"
                )
            name, version = re.sub(r"[-_.]+", "-", found[1]).lower(), found[2]
            other, where = pinned.setdefault(name, (version, lock.name))
            if other != version and where != lock.name:
                raise ParameterError(
                    f"{lock.name}: `{name}=={version}`, but the worker has {name}=={other};"
                    f" compile it with `-c requirements/{where}`"
                )


def _lines(lock: Path) -> Iterator[str]:
    """Yield a file's requirements, each on one line."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in (line.strip() for line in text.splitlines()):
        if line and not line.startswith("#"):
            yield line
