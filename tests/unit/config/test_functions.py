"""`@on` functions: read by the same rules as the file, with the function's line as their place."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.actions.registry import builtin
from closeout.config.functions import Run, on
from closeout.config.load import Loaded, check, inspect, load, load_function, load_text
from tests.unit.config.known_actions import REGISTRY
from tests.unit.config.samples import SHELL

_NUMBER = itertools.count()


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """Imports leave no trace for the next test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("hooks_"):
            del sys.modules[name]


def write(tmp_path: Path, source: str, config: str = "") -> tuple[Path, str]:
    """Write a config that names one module, and that module. Return the config and the module's name."""
    name = f"hooks_{next(_NUMBER)}"
    (tmp_path / f"{name}.py").write_text("from closeout import on\n" + source, encoding="utf-8")
    config = config or "version: 1\n"
    (tmp_path / "closeout.yaml").write_text(f"modules: [{name}]\n{config}", encoding="utf-8")
    return tmp_path / "closeout.yaml", name


def loaded(tmp_path: Path, source: str, config: str = "") -> tuple[Loaded, str]:
    """Load a module with this source."""
    path, name = write(tmp_path, source, config)
    return load(path, REGISTRY), name


def test_a_function_is_an_automation(tmp_path: Path) -> None:
    """Its events, filters and keys have the same form as the file's; the function can be called by reference."""
    source = (
        '@on("pull_request.closed", branches=["develop"], repositories=["acme/shop"], timeout="1h")\n'
        "def clean_up(run):\n    return 'done'\n"
    )
    result, module = loaded(tmp_path, source)
    (automation,) = result.automations
    assert (automation.name, automation.function) == ("clean_up", f"{module}:clean_up")
    assert automation.triggers == ({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},)
    assert (automation.repositories, automation.timeout) == (("acme/shop",), 3_600.0)
    assert (automation.steps, automation.destructive_function) == ((), True)
    assert automation.status_context == "closeout/clean_up"
    assert result.functions[f"{module}:clean_up"](None) == "done"


def test_functions_without_a_file_have_the_default_settings(tmp_path: Path) -> None:
    """Every file-level key has its default."""

    @on("push", destructive=False)
    def tell(run: Run) -> None: ...

    (tmp_path / "closeout.yaml").write_text(SHELL, encoding="utf-8")
    assert load_function(tell, REGISTRY).settings == load(tmp_path / "closeout.yaml", REGISTRY).settings


def test_functions_and_automations_of_the_file_work_together(tmp_path: Path) -> None:
    """The file's settings apply to functions too: secrets' variables, protection."""
    source = (
        '@on("push", "create", name="other", destructive=False, condition="event.deleted")\ndef f(run): ...\n'
    )
    config = SHELL + "protect: [prod]\nsecrets: { webhook: env:HOOK }\n"
    result, _ = loaded(tmp_path, source, config)
    tidy, other = result.automations
    assert (tidy.name, other.name) == ("tidy", "other")
    assert other.triggers == ({"event": "push"}, {"event": "create"})
    assert (other.protect_names, other.secret_variables) == (("prod",), ("HOOK",))
    assert (other.condition, other.destructive_function) == ("event.deleted", False)


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ('@on("pull_request.closed")\ndef f(run): ...\n', "repositories-missing", 2),
        ('@on("pull_request.closed", repositories="*")\ndef f(run): ...\n', "repositories-too-wide", 2),
        ('\n@on("push", repositories="a/b")\ndef f(run): ...\n', "unguarded-event", 3),
        ('@on("pull_request", repositories="a/b")\ndef f(run): ...\n', "missing-types", 2),
        ('@on("push.x", destructive=False)\ndef f(run): ...\n', "bad-value", 2),
        ('@on("push", destructive=False, branches=["[a"])\ndef f(run): ...\n', "bad-pattern", 2),
        ('@on("push", destructive=False, condition="x")\ndef f(run): ...\n', "bad-expression", 2),
        ('@on("push", destructive=False, timeout=90)\ndef f(run): ...\n', "bad-duration", 2),
        ("@on(destructive=False)\ndef f(run): ...\n", "empty-value", 2),
        ('@on("push", destructive=False, branches=object())\ndef f(run): ...\n', "wrong-type", 2),
        ('@on("push", destructive=False, name="a b")\ndef f(run): ...\n', "bad-name", 2),
        ('@on("push", destructive=False)\ndef f(): ...\n', "bad-function", 2),
        ('@on("push", destructive=False)\nasync def f(run): ...\n', "bad-function", 2),
        ('@on("push", destructive=False, name="tidy")\ndef f(run): ...\n', "duplicate-automation", 2),
        (
            '@on("push", destructive=False, name="g")\ndef f(run): ...\n@on("push", destructive=False)\ndef g(run): ...\n',
            "duplicate-automation",
            4,
        ),
    ],
)
def test_a_mistake_is_found_at_the_function(tmp_path: Path, source: str, code: str, line: int) -> None:
    """The finding has the module's file and the decorator's line, and shows it."""
    path, module = write(tmp_path, source, SHELL)
    findings = check(path, REGISTRY)
    assert [(finding.code, finding.file, finding.line, finding.column) for finding in findings] == [
        (code, str(tmp_path / f"{module}.py"), line, 1)
    ]
    assert findings[0].source.startswith("@on(")


def test_a_mistake_of_a_function_without_a_line_is_found_on_the_modules_first(tmp_path: Path) -> None:
    """Python knows no line for a function in a cache."""
    source = (
        'import functools\n@on("push", destructive=False, name="a b")\n@functools.cache\ndef f(run): ...\n'
    )
    path, module = write(tmp_path, source)
    (finding,) = check(path, REGISTRY)
    assert finding.text().startswith(f"{tmp_path / module}.py:1:1: @on f: `a b` cannot be the name")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_module_at_all\n", "ModuleNotFoundError"),
        ("def f(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("x = 1\nx / 0\n", ".py:3)"),
        ("on('push', nonsense=1)\n", "TypeError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_finding(tmp_path: Path, source: str, says: str) -> None:
    """Whatever the import raises is reported at `modules`, with the module's line if it is known."""
    path, _ = write(tmp_path, source, SHELL)
    (finding,) = check(path, REGISTRY)
    assert (finding.code, finding.line) == ("module-failed", 1)
    assert says in finding.message


def test_a_module_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    """`modules` has a name that cannot be found."""
    (tmp_path / "closeout.yaml").write_text("version: 1\nmodules: hooks_none\n", encoding="utf-8")
    (finding,) = check(tmp_path / "closeout.yaml", REGISTRY)
    assert (finding.code, finding.line, finding.column) == ("module-failed", 2, 10)
    assert finding.message == "modules: there is no module `hooks_none`"
    assert f"put hooks_none.py into {tmp_path}" in finding.fix


def test_an_interrupt_while_a_module_is_imported_ends_the_command(tmp_path: Path) -> None:
    """Ctrl-C is not a mistake in the file."""
    path, _ = write(tmp_path, "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        check(path, REGISTRY)


def test_a_module_next_to_the_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed module with the same name is not used instead."""
    path, name = write(tmp_path, '@on("push", destructive=False)\ndef ours(run): ...\n')
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / f"{name}.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(installed))
    assert [item.name for item in load(path, REGISTRY).automations] == ["ours"]


def test_a_module_next_to_the_file_is_not_mistaken_for_a_loaded_one(tmp_path: Path) -> None:
    """A file with the name of an already loaded module is reported, and the other module is not used."""
    (tmp_path / "json.py").write_text("", encoding="utf-8")
    (tmp_path / "closeout.yaml").write_text("version: 1\nmodules: [json]\n", encoding="utf-8")
    (finding,) = check(tmp_path / "closeout.yaml", REGISTRY)
    assert "another module named `json` is loaded already" in finding.message


def test_modules_can_be_left_unimported(tmp_path: Path) -> None:
    """With `modules=False` no user code runs, and the folder is not added to the path."""
    path, _ = write(tmp_path, "raise SystemExit\n", SHELL)
    before = list(sys.path)
    assert [item.name for item in load(path, REGISTRY, modules=False).automations] == ["tidy"]
    assert sys.path == before


def test_an_inspected_file_is_loaded_and_checked(tmp_path: Path) -> None:
    """With its modules and the functions of its steps; its meaning is returned only if there are no errors."""
    step = SHELL.replace("uses: shell", "uses: python").replace("run: 'true'", "function: 'hooks_none:f'")
    path, name = write(tmp_path, '@on("push", destructive=False)\ndef f(run): ...\n', step)
    found, findings = inspect(path, builtin())
    assert found is not None
    assert [item.function for item in found.automations] == [None, f"{name}:f"]
    assert findings == check(path, builtin())
    assert [(item.code, item.severity) for item in findings] == [("module-failed", "warning")]
    assert load(path, builtin()).warnings == (), "what steps call is imported when they run"
    path.write_text("version: 1\n", encoding="utf-8")
    found, findings = inspect(path, builtin())
    assert (found, [item.code for item in findings]) == (None, ["missing-key"])


def test_a_text_is_loaded_with_the_modules_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like a file in that folder; the functions of its steps are imported when they run."""
    step = SHELL.replace("uses: shell", "uses: python").replace("run: 'true'", "function: 'hooks_none:f'")
    path, name = write(tmp_path, '@on("push", destructive=False)\ndef f(run): ...\n', step)
    monkeypatch.chdir(tmp_path)
    found = load_text(path.read_text("utf-8"), builtin())
    assert [item.function for item in found.automations] == [None, f"{name}:f"]
    assert found.warnings == ()


def test_the_folder_of_the_file_is_on_the_module_path(tmp_path: Path) -> None:
    """A `python` step finds its function next to the file, with or without `modules`."""
    (tmp_path / "closeout.yaml").write_text(SHELL, encoding="utf-8")
    load(tmp_path / "closeout.yaml", REGISTRY)
    load(tmp_path / "closeout.yaml", REGISTRY)
    assert sys.path.count(str(tmp_path.resolve())) == 1


def test_an_imported_function_counts_once(tmp_path: Path) -> None:
    """A function that another module of the list imports is one automation."""
    path, module = write(tmp_path, '@on("push", destructive=False)\ndef f(run): ...\n')
    (tmp_path / "hooks_second.py").write_text(f"from {module} import f\n", encoding="utf-8")
    path.write_text(f"version: 1\nmodules: [{module}, hooks_second]\n", encoding="utf-8")
    assert [item.function for item in load(path, REGISTRY).automations] == [f"{module}:f"]
