"""Make the reference pages that are derived from the code; with --check, say which are out of date.

A page that repeats what the code says is written by the code, so that it cannot drift. Each page is one
function here that returns Markdown; `make fix` writes them and `make check` compares.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from closeout.actions.permissions import needed
from closeout.actions.registry import builtin
from closeout.actions.spec import Action, Input
from closeout.checks.registry import CHECKS
from closeout.checks.token import FINE_GRAINED
from closeout.core import errors
from closeout.core.errors import CloseoutError
from closeout.testing.deliveries import SAMPLES
from docs import cli_reference, man_pages

REFERENCE = Path(__file__).parent / "reference"
PATCHES = Path(__file__).parents[1] / "tests/emulator/patches.py"
WRITTEN_BY = "<!-- Written by docs/generate.py from the code: run `make fix` instead of editing. -->\n"


def error_classes() -> Iterator[type[CloseoutError]]:
    """Yield every error class of `closeout.core.errors`, in the order in which the module defines them."""
    for value in vars(errors).values():
        if inspect.isclass(value) and issubclass(value, CloseoutError):
            yield value


def errors_page() -> str:
    """Write the reference of error codes."""
    lines = [
        WRITTEN_BY,
        "# Error codes\n",
        "Every error has a code that does not change between versions. Over HTTP, the answer has the status of this table and",
        'the body `{"error": "<code>", "message": "<sentence>"}`. In a run, the code says why a step failed. Messages may change.\n',
        "| code | HTTP status | class | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for error in error_classes():
        meaning = " ".join((inspect.getdoc(error) or "").split("\n\n")[0].split())
        lines.append(f"| `{error.code}` | {error.status} | `{error.__name__}` | {meaning} |")
    return "\n".join(lines) + "\n"


def actions_page() -> str:
    """Write the reference of actions, from the registry."""
    parts = [
        WRITTEN_BY,
        "# Actions\n",
        "These are the values of `uses`. A *destructive* step has the live check and needs `repositories`. If it is destructive",
        "*unless declared*, write `destructive: false` on a step that deletes nothing. An input that *names* what the step acts",
        "on accepts only values that pass the [name guards](guards.md).\n",
        _table(
            ["action", "what it does"],
            [[f"[`{a.uses}`](#{_anchor(a.uses)})", a.summary] for a in builtin().values()],
        ),
    ]
    for action in builtin().values():
        parts += _action(action)
    return "\n".join(parts) + "\n"


def _action(action: Action) -> list[str]:
    minutes = f"{action.timeout / 60:g} minutes"
    limit = f"Destructive: {action.destructive.replace('-', ' ')}. Time limit unless the step says otherwise: {minutes}."
    rows = [
        [f"`{name}`", _kind(value), " ".join(value.description.split())]
        for name, value in action.inputs.items()
    ]
    parts = [f"\n## {action.uses}\n", action.description.strip() + "\n", limit + "\n"]
    parts.append(_table(["input", "type", "meaning"], rows))
    needs = _needs(action)
    if needs:
        parts += ["\nIt needs:\n", _table(["where", "permissions", "why"], needs)]
    return [*parts, "\n```yaml", action.example.strip("\n"), "```"]


def _needs(action: Action) -> list[list[str]]:
    return [
        [
            need.permission.system,
            ", ".join(f"`{name}`" for name in need.permission.actions),
            (f"with `{need.when}`: " if need.when else "") + need.permission.reason,
        ]
        for need in needed(action)
    ]


def _kind(value: Input) -> str:
    words: list[str] = [value.type]
    words += (
        ["required"]
        if value.required
        else []
        if value.default is None
        else [f"default `{json.dumps(value.default)}`"]
    )
    words += [f"one of {', '.join(value.choices)}"] if value.choices else []
    words += ["names"] if value.names else []
    words += ["a secret reference"] if value.secret else []
    return ", ".join(words)


def _table(header: list[str], rows: list[list[str]]) -> str:
    cells = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _anchor(heading: str) -> str:
    return heading.replace("/", "")


def patches() -> Iterator[tuple[str, str]]:
    """Yield each patch of ministack: what it lacks, and the page of AWS's. Read as text: it imports ministack."""
    names: dict[str, str] = {}
    for node in ast.parse(PATCHES.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names[ast.unparse(node.targets[0])] = str(node.value.value)
        for call in getattr(node, "decorator_list", ()):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "patch":
                gap, page = (_plain(argument, names) for argument in call.args)
                yield gap, page


def _plain(text: ast.expr, names: dict[str, str]) -> str:
    """Return the value of a text in the source, an f-string over named texts included."""
    if isinstance(text, ast.JoinedStr):
        return "".join(_plain(part, names) for part in text.values)
    if isinstance(text, ast.FormattedValue):
        return names[ast.unparse(text.value)]
    return str(ast.literal_eval(text))


def checks_page() -> str:
    """Write the reference of checks, from the registry."""
    parts = [
        WRITTEN_BY,
        "# Checks\n",
        "[`closeout doctor` and `closeout drill`](../how-to/check-a-set-up.md) run these checks, in this order. The names do not",
        "change: they are the `id` of `--json` and the label `check` of the metrics. Fine-grained tokens are at",
        f"{FINE_GRAINED}.",
    ]
    for group in dict.fromkeys(check.group for check in CHECKS):
        rows = [
            [f"`{check.id}`", check.looks, check.breaks, check.fix.replace(f" ({FINE_GRAINED})", "")]
            for check in CHECKS
            if check.group == group
        ]
        table = _table(["check", "what it looks at", "what breaks if it is wrong", "how to fix it"], rows)
        parts += [f"\n## {group}\n", table]
    return "\n".join(parts) + "\n"


def patches_page() -> str:
    """Write the list of ministack's patches."""
    parts = [
        WRITTEN_BY,
        "# Patches of ministack\n",
        "What ministack lacks or does differently, and the page of AWS's documentation that the patch follows. The patches are in",
        "`tests/emulator/patches.py`; [emulators](../explanation/emulators.md#what-is-patched-in-ministack)",
        "says what they mean for the tests.\n",
        _table(["gap", "AWS's page"], [[gap, f"<{page}>"] for gap, page in patches()]),
    ]
    return "\n".join(parts) + "\n"


TESTING = Path(__file__).parents[1] / "src/closeout/testing"
PUBLIC = {
    "closeout.testing": ("rehearsal.py", ("play", "Played", "PlayedStep", "PostedStatus")),
    "closeout.testing.deliveries": ("deliveries.py", ()),
    "closeout.testing.payloads": ("payloads.py", ()),
    "closeout.testing.github": ("github/server.py", ("FakeGitHub",)),
    "closeout.testing.aws": ("aws/server.py", ("FakeAws",)),
}
"""Where to import from → the file whose docstrings say what there is, and the names; without names every public one."""


def testing_page() -> str:
    """Write the reference of `closeout.testing`, from the docstrings. Read as text: moto need not be installed."""
    parts = [
        WRITTEN_BY,
        "# Testing\n",
        "Fakes and builders for your own tests, all of them typed.",
        "[Test your automation](../how-to/test-your-automation.md) shows how to use them. Modules of `closeout.testing` that are",
        "not listed here serve closeout's own tests and may change.",
    ]
    for name, (file, names) in PUBLIC.items():
        tree = ast.parse((TESTING / file).read_text("utf-8"))
        found = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
        parts += [f"\n## {name}\n", (ast.get_docstring(tree) or "").split("\n\n")[0]]
        for one in names or [one for one in found if not one.startswith("_")]:
            parts += _described(found[one])
        if name.endswith(".deliveries"):
            rows = [[f"`{key}`", f"`{event}`", what] for key, (event, what, _) in SAMPLES.items()]
            parts += ["\n### Samples\n", _table(["sample", "event", "what it is"], rows)]
    return "\n".join(parts) + "\n"


def _described(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    heading, docstring = f"\n### {node.name}\n", ast.get_docstring(node) or ""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return [heading, "```python", f"{node.name}{_signature(node.args, 80)}{returns}", "```\n", docstring]
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    call = [f"{node.name}{_signature(one.args, 80)}" for one in methods if one.name == "__init__"]
    parts = [heading, *(["```python", *call, "```\n"] if call else []), docstring]
    rows = [
        [f"`{one.name}{_signature(one.args)}`", _flat(ast.get_docstring(one) or "")]
        for one in methods
        if not one.name.startswith("_")
    ]
    fields = list(_fields(node))
    parts += ["", _table(["field", "type", "meaning"], fields)] if fields else []
    return parts + (["", _table(["method", "what it does"], rows)] if rows else [])


def _fields(node: ast.ClassDef) -> Iterator[list[str]]:
    for one, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign):
            said = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                said = _flat(str(after.value.value))
            yield [f"`{ast.unparse(one.target)}`", f"`{ast.unparse(one.annotation)}`", said]


def _signature(arguments: ast.arguments, width: int = 1_000) -> str:
    """Return the arguments except `self`, one on each line if they do not fit on one."""
    every = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(every) - len(arguments.defaults)) + arguments.defaults
    texts = [
        _argument(one, default) for one, default in zip(every, defaults, strict=True) if one.arg != "self"
    ]
    if arguments.kwonlyargs:
        named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        texts += [f"*{_argument(arguments.vararg, None) if arguments.vararg else ''}"]
        texts += [_argument(one, default) for one, default in named]
    texts += [f"**{_argument(arguments.kwarg, None)}"] if arguments.kwarg else []
    line = f"({', '.join(texts)})"
    return line if len(line) <= width else "(\n    " + ",\n    ".join(texts) + ",\n)"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text}{' = ' if argument.annotation else '='}{ast.unparse(default)}"


def _flat(text: str) -> str:
    return " ".join(text.split())


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "actions.md": actions_page,
    "checks.md": checks_page,
    "cli.md": cli_reference.page,
    "emulator-patches.md": patches_page,
    "testing.md": testing_page,
    **{f"../man/{name}": partial(str, text) for name, text in man_pages.pages().items()},
}


def stale() -> list[str]:
    """List the pages whose file is missing or says something else than the code."""
    return [
        name
        for name, page in PAGES.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text("utf-8") != page()
    ]


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check only compare them."""
    if "--check" in arguments:
        for name in stale():
            print(f"docs/reference/{name} is out of date: run `make fix` and commit it")
        return 1 if stale() else 0
    for name in stale():
        (REFERENCE / name).write_text(PAGES[name](), "utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
