"""Every single mistake in a file that uses every key, and what `check` says about it.

`python -m tests.unit.config.corruptions` writes the current messages into `corruptions.txt`: read the difference before
you commit it, as a user who made the mistake would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from closeout.config.findings import Finding
from closeout.config.load import check
from tests.unit.config.known_actions import REGISTRY

KEPT = Path(__file__).with_name("corruptions.txt")
INSTEAD = {
    "a list": "[x]",
    "a number": "7",
    "nothing": "~",
    "an expression": "'${{ event.nothing }}'",
}


def _nodes(node: Node, path: str) -> Iterator[tuple[str, Node, bool]]:
    """Yield each node with its path, and whether it is a key."""
    if path:
        yield path, node, False
    if isinstance(node, MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}".strip(".")
            yield inner, key, True
            yield from _nodes(value, inner)
    elif isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            yield from _nodes(item, f"{path}[{number}]")


def corrupted(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each place that can have this mistake, and the file with it."""
    for path, node, is_key in _nodes(YAML(typ="safe", pure=True).compose(text), ""):
        start, end = node.start_mark.index, node.end_mark.index
        if kind == "a key that is none" and is_key:
            yield path, f"{text[:end]}x{text[end:]}"
        elif kind in INSTEAD and not is_key:
            block = isinstance(node, MappingNode | SequenceNode) and not node.flow_style
            yield path, text[:start] + INSTEAD[kind] + ("\n" if block else "") + text[end:]


def _sentence(finding: Finding) -> str:
    """Return what is said, without the words of the YAML library: they are its own, and change with it."""
    return finding.message.partition(":")[0] if finding.code == "yaml-syntax" else finding.message


KINDS = ("a key that is none", *INSTEAD)


def said(text: str, kind: str, folder: Path) -> list[str]:
    """Return a line for each finding of each file with this mistake that the file has not without it."""
    file = folder / "closeout.yaml"
    file.write_text(text, "utf-8")
    without = {(one.code, one.message) for one in check(file, REGISTRY, modules=False)}
    lines = []
    for path, broken in corrupted(text, kind):
        file.write_text(broken, "utf-8")
        found = check(file, REGISTRY, modules=False)
        lines += [
            f"{kind} at {path}: {one.line}:{one.column} {one.severity} {one.code}: {_sentence(one)} | {one.fix}"
            for one in found
            if (one.code, one.message) not in without
        ] or [f"{kind} at {path}: nothing"]
    return lines


if __name__ == "__main__":
    from tests.unit.config.test_load import EVERYTHING

    with tempfile.TemporaryDirectory() as name:
        everything = [line for kind in KINDS for line in said(EVERYTHING, kind, Path(name))]
    KEPT.write_text("\n".join(everything) + "\n", "utf-8")
