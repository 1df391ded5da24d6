"""Operation names within a step: an action may not use one that the run function records for every step."""

from __future__ import annotations

import ast

from tests.architecture.tree import listing, nodes, place

RESERVED = {"if", "plan", "status", "end", "verify", "left"}
"""`<step>/if`, `<step>/plan`, `<step>/end`, `<step>/verify` (`closeout.run.step`)."""
CALLS = {"record", "change", "sleep", "wait_until"}


def test_no_action_uses_a_name_that_every_step_has() -> None:
    """A plan of one change has no prefix of its own, so such a name would occur twice, and the step would fail."""
    names = [
        (place(path, node.lineno), first.value)
        for path, node in nodes("src/closeout/actions")
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CALLS
        and node.args
        and isinstance(first := node.args[0], ast.Constant)
        and isinstance(first.value, str)
    ]
    taken = [f"{where}: {name}" for where, name in names if name in RESERVED]
    assert len(names) >= 6
    assert not taken, listing(taken)
