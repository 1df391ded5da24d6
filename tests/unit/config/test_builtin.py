"""The registry: explicit, ordered, without duplicates; every built-in action's example loads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from closeout.actions.registry import Registry, builtin
from closeout.config.load import check, load
from closeout.core.errors import UsageError
from tests.unit.config.known_actions import action

BUILT_IN = (
    "aws/cloudformation-delete-stack",
    "aws/s3-delete-objects",
    "aws/codebuild-start-build",
    "github/dispatch-workflow",
    "github/comment",
    "http/request",
    "shell",
    "python",
)
FILE = """\
version: 1
aws: {{ account: '123456789012', region: eu-central-1 }}
automations:
  example:
    on: {{ pull_request: {{ types: [closed] }} }}
    repositories: [acme/shop]
    steps:
{step}
"""


def test_the_built_in_actions_are_these() -> None:
    """Every action that can be used is listed by hand, in the order of the documentation."""
    assert tuple(builtin()) == BUILT_IN
    assert all(entry.uses == uses for uses, entry in builtin().items())


@pytest.mark.parametrize("uses", BUILT_IN)
def test_the_example_of_an_action_is_valid(tmp_path: Path, uses: str) -> None:
    """The step that `closeout actions show` prints can be copied into a file unchanged."""
    lines = builtin()[uses].example.strip("\n").splitlines()
    assert lines, f"{uses} has no example"
    first = lines[0] if lines[0].startswith("- ") else f"- {lines[0]}"
    rest = lines[1:] if lines[0].startswith("- ") else [f"  {line}" for line in lines[1:]]
    path = tmp_path / "closeout.yaml"
    path.write_text(FILE.format(step="\n".join(f"      {line}" for line in (first, *rest))), encoding="utf-8")
    assert [finding.pretty() for finding in check(path, builtin(), modules=False)] == []


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("beside_check:works", None),
        ("beside_check:nothing", "beside_check has no function nothing"),
        ("nomod_check:fn", "there is no module nomod_check; modules are looked up in the folder of the file"),
        ("leaves_check:fn", "leaves_check cannot be imported: SystemExit: 3"),
    ],
)
def test_check_looks_up_the_function_of_a_python_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, says: str | None
) -> None:
    """As a run and the stack's synthesis do; only a warning, since a server elsewhere may have it."""
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "beside_check.py").write_text("def works(context): ...\n")
    (tmp_path / "leaves_check.py").write_text("raise SystemExit(3)\n")
    path = tmp_path / "closeout.yaml"
    step = f"      - uses: python\n        with: {{ function: '{function}' }}"
    path.write_text(FILE.format(step=step), encoding="utf-8")
    found = check(path, builtin())
    for name in ("beside_check", "leaves_check"):
        sys.modules.pop(name, None)
    assert [(finding.code, finding.severity, finding.line) for finding in found] == (
        [("module-failed", "warning", 9)] if says else []
    )
    assert says is None or says in found[0].message
    load(path, builtin())
    path.write_text(path.read_text().replace("version: 1", "version: 2"), encoding="utf-8")
    assert [finding.code for finding in check(path, builtin())] == ["bad-value"]


def test_outsiders_cannot_choose_whose_code_a_build_runs(tmp_path: Path) -> None:
    """A branch as `source-version` needs the same guard as a name: it decides what runs."""
    step = (
        "      - uses: aws/codebuild-start-build\n"
        "        with: { project: teardown, source-version: '${{ event.pull_request.head.ref }}' }"
    )
    path = tmp_path / "closeout.yaml"
    path.write_text(FILE.format(step=step), encoding="utf-8")
    assert "untrusted-name" in [finding.code for finding in check(path, builtin())]


def test_two_actions_of_one_name_are_refused() -> None:
    """A later action never replaces an earlier one silently."""
    with pytest.raises(ValueError, match="two actions are named 'shell'"):
        Registry([action("shell", {}), action("shell", {})])


def test_an_unknown_name_lists_similar_ones() -> None:
    """The error is ours; `get` and `in` do not raise it."""
    registry = Registry([action("aws/s3-delete-objects", {}), action("shell", {})])
    with pytest.raises(UsageError, match="did you mean aws/s3-delete-objects") as error:
        registry["aws/s3-delete-object"]
    assert str(error.value) == error.value.message
    assert registry.get("nothing") is None
    assert ("shell" in registry, "nothing" in registry, len(registry)) == (True, False, 2)
    with pytest.raises(UsageError, match="known: aws/s3-delete-objects, shell"):
        registry["zzzz"]
