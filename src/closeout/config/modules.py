"""Import the modules of `modules` and read the `@on` functions in them.

An import runs a user's code, so any exception becomes a finding at the module's name. The server never
starts with only a part of the automations.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from closeout.config.automations import Function, check_name, read_automation
from closeout.config.document import from_value
from closeout.config.findings import Findings
from closeout.config.functions import ATTRIBUTE, Declaration
from closeout.config.settings import Settings
from closeout.config.steps import StepContext
from closeout.config.values import ConfigNode
from closeout.core.automation import Automation

Functions = dict[str, Callable[..., Any]]


def import_modules(
    at: ConfigNode, folder: Path, settings: Settings, context: StepContext, taken: set[str]
) -> tuple[tuple[Automation, ...], Functions]:
    """Import the modules, looked up in `folder` first, and read their `@on` functions.

    `at` is the place of `modules`, `taken` the names of automations that exist already. The folder stays on
    `sys.path`, so that the function of a `python` step is found there, too.
    """
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    automations: list[Automation] = []
    functions: Functions = {}
    for name in settings.modules:
        module = _import(at, name, folder.resolve())
        if module is None:
            continue
        added, found = _functions(at, name, module, settings, context, taken)
        automations += added
        functions |= found
    return tuple(automations), functions


def _import(at: ConfigNode, name: str, folder: Path) -> ModuleType | None:
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):  # a module that this one imports
            _failed(at, name, folder, error)
            return None
        file = f"{name.replace('.', '/')}.py"
        fix = f"put {file} into {folder}, where this file is, or install the package that has it"
        at.error("module-failed", f"there is no module `{name}`", fix)
        return None
    except BaseException as error:  # noqa: BLE001  a user's code may raise anything, SystemExit included
        _failed(at, name, folder, error)
        return None
    path = folder.joinpath(*name.split("."))
    files = [one.resolve() for one in (path.with_suffix(".py"), path / "__init__.py") if one.exists()]
    loaded = Path(str(getattr(module, "__file__", ""))).resolve()
    if files and loaded not in files:
        message = f"another module named `{name}` is loaded already, from {loaded}"
        at.error("module-failed", message, "rename yours")
        return None
    return module


def _failed(at: ConfigNode, name: str, folder: Path, error: BaseException) -> None:
    message = f"importing `{name}` failed: {type(error).__name__}: {error}{_where(error, folder)}"
    at.error("module-failed", message[:500], f"run `python -c 'import {name}'` in {folder} to see it in full")


def _where(error: BaseException, folder: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    files = [frame for frame in frames if not frame.filename.startswith("<")]
    own = [frame for frame in files if Path(frame.filename).resolve().is_relative_to(folder)]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""


def read_function(
    function: Callable[..., Any],
    reference: str,
    findings: Findings,
    settings: Settings,
    context: StepContext,
    taken: set[str],
) -> Automation | None:
    """Read what `@on` declares for a function; `reference` is `module:name`. Never raises: mistakes become findings."""
    declared: Declaration = getattr(function, ATTRIBUTE)
    attribute = reference.partition(":")[2]
    line = int(getattr(getattr(function, "__code__", None), "co_firstlineno", 1))
    name = str(declared.name if declared.name is not None else attribute)
    at = ConfigNode(node=from_value(declared.keys, line, 1), path=f"@on {attribute}", findings=findings)
    _check_function(at, function, name, taken)
    return read_automation(name, at, context, settings, Function(reference, bool(declared.destructive)))


def findings_of(module: ModuleType | None, name: str) -> Findings:
    """Return an empty collection of findings for a module's file."""
    file = str(getattr(module, "__file__", name))
    try:
        source = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        source = ""
    return Findings(file, source)


def _functions(
    at: ConfigNode,
    module_name: str,
    module: ModuleType,
    settings: Settings,
    context: StepContext,
    taken: set[str],
) -> tuple[list[Automation], Functions]:
    automations: list[Automation] = []
    functions: Functions = {}
    findings = findings_of(module, module_name)
    for attribute, value in list(vars(module).items()):
        declared = getattr(value, ATTRIBUTE, None) if callable(value) else None
        if not isinstance(declared, Declaration) or getattr(value, "__module__", None) != module_name:
            continue
        reference = f"{module_name}:{attribute}"
        automation = read_function(value, reference, findings, settings, context, taken)
        if automation is not None:
            automations.append(automation)
            functions[reference] = value
    at.findings.extend(findings.all())
    return automations, functions


def _check_function(at: ConfigNode, function: Any, name: str, taken: set[str]) -> None:
    check_name(at, name)
    if name in taken:
        message = f"there is already an automation named `{name}`"
        at.error("duplicate-automation", message, "give it another name=")
    taken.add(name)
    if inspect.iscoroutinefunction(function):
        fix = "write a plain `def`; waits go through run.wait_until"
        at.error("bad-function", "an @on function cannot be async", fix)
        return
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        at.error("bad-function", "an @on function takes one argument, the run", "write def NAME(run):")
