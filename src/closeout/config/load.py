"""Read a file with the known actions, and return a checked configuration or all of its findings.

`check` and `load` share every step, so `closeout serve` runs exactly what `closeout check` accepts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from closeout.actions.registry import Registry
from closeout.config import automations as reading
from closeout.config import document, keys, uniqueness, workflow_words
from closeout.config.document import Mapping as MappingNode
from closeout.config.findings import Finding, Findings
from closeout.config.functions import ATTRIBUTE, Declaration, Run
from closeout.config.modules import findings_of, import_modules, read_function
from closeout.config.settings import Settings, read_settings, read_version
from closeout.config.steps import StepContext
from closeout.config.values import ConfigNode
from closeout.core.automation import Automation, Current
from closeout.core.errors import ConfigError
from closeout.core.problems import NOBODY, Routes

Read = TypeVar("Read")
_WRITE_ONE = "`closeout init` writes one; or name yours on the command line or in CLOSEOUT_CONFIG"
_LOOK_AT_IT = "check the path, the file's mode and its encoding (UTF-8)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration without errors. `functions` are the `@on` functions by `module:name`."""

    settings: Settings
    automations: tuple[Automation, ...]
    functions: Mapping[str, Callable[..., Any]]
    step_secrets: tuple[str, ...] = ()
    """The secret references that steps name."""
    routes: Routes = NOBODY
    """Where problems are reported, and which."""
    warnings: tuple[Finding, ...] = ()
    directory: Path = Path()
    """The file's folder: where its modules and its relative `file:` references are looked up."""

    def current(self, name: str) -> Current:
        """Return what this configuration says about a run of the automation `name`."""
        found = next((one for one in self.automations if one.name == name), None)
        return Current(found, self.settings.protect_names, self.settings.protect_tags)


def load(path: Path | str, registry: Registry, *, modules: bool = True) -> Loaded:
    """Read and check the file. With `modules`, import its Python modules, and put its folder on `sys.path`.

    Raises `ConfigError`; its `findings` hold every error and warning, its message their texts.
    """
    return _sound(*_read(Path(path), registry, modules=modules))


def load_text(text: str, registry: Registry) -> Loaded:
    """Check the text of a file as `load` does. Its modules are looked up in the current folder."""
    path = Path("closeout.yaml")
    return _sound(*_parse(path, text, Findings(str(path), text), registry, modules=True, look=False))


def load_function(function: Callable[[Run], object], registry: Registry) -> Loaded:
    """Check one `@on` function as `load` checks those of a module, with every file-level key at its default.

    Raises `ConfigError` as `load` does, and also for a function without `@on`.
    """
    name = function.__name__
    if not isinstance(getattr(function, ATTRIBUTE, None), Declaration):
        raise ConfigError(f"{name} has no @on, which says what starts it")
    reference = f"{function.__module__}:{name}"
    settings = Settings()
    findings = findings_of(sys.modules.get(function.__module__), function.__module__)
    context = StepContext(registry=registry, aws=settings.aws)
    read = read_function(function, reference, findings, settings, context, set())
    automation = _sound(read, findings.all())
    return Loaded(settings=settings, automations=(automation,), functions={reference: function})


def check(path: Path | str, registry: Registry, *, modules: bool = True) -> list[Finding]:
    """Return every error and warning of the file. Never raises because of the file's content.

    With `modules`, their code is imported as in `load`, and the functions that steps call are looked up.
    """
    return list(_read(Path(path), registry, modules=modules, look=modules)[1])


def inspect(path: Path | str, registry: Registry) -> tuple[Loaded | None, list[Finding]]:
    """Return the file's findings as `check` does, and its configuration if nothing is wrong with it."""
    loaded, found = _read(Path(path), registry, modules=True, look=True)
    wrong = any(finding.severity == "error" for finding in found)
    return (None if wrong else loaded), list(found)


def _sound(read: Read | None, findings: tuple[Finding, ...]) -> Read:
    errors = [finding for finding in findings if finding.severity == "error"]
    if read is None or errors:
        raise ConfigError("\n".join(finding.text() for finding in errors), findings=findings)
    return read


def _read(
    path: Path, registry: Registry, *, modules: bool, look: bool = False
) -> tuple[Loaded | None, tuple[Finding, ...]]:
    text, problem = document.read(path)
    findings = Findings(str(path), text or "")
    if text is None:
        fix = _WRITE_ONE if problem == document.MISSING else _LOOK_AT_IT
        findings.error(1, 1, "unreadable-file", problem, fix)
        return None, findings.all()
    return _parse(path, text, findings, registry, modules=modules, look=look)


def _parse(
    path: Path, text: str, findings: Findings, registry: Registry, *, modules: bool, look: bool
) -> tuple[Loaded | None, tuple[Finding, ...]]:
    node = document.parse(text, findings)
    if node is None:
        return None, findings.all()
    root = ConfigNode(node=node, path="", findings=findings)
    if workflow_words.refuse_workflow(root):
        return None, findings.all()
    section = root.section(keys.names("file"), partial(workflow_words.hint, "file"))
    if section is None:
        return None, findings.all()
    loaded, later = _sections(root, section, registry, path.parent if modules else None)
    if look and findings.count() == 0:
        for look_up in later:
            look_up()
    warnings = tuple(finding for finding in findings.all() if finding.severity == "warning")
    return replace(loaded, warnings=warnings, directory=path.resolve().parent), findings.all()


def _sections(
    root: ConfigNode, section: Mapping[str, ConfigNode], registry: Registry, folder: Path | None
) -> tuple[Loaded, Sequence[Callable[[], None]]]:
    read_version(section, root)
    settings = read_settings(section)
    context = StepContext(registry=registry, aws=settings.aws, aws_given=_given(section.get("aws")))
    automations: tuple[Automation, ...] = ()
    if "automations" in section:
        automations = reading.read_automations(section["automations"], context, settings)
    functions: dict[str, Callable[..., Any]] = {}
    if folder is not None:
        place = section.get("modules", root)
        added, functions = import_modules(
            place, folder, settings, context, {item.name for item in automations}
        )
        automations += added
    uniqueness.check(context.uses)
    known = keys.names("file")
    if root.lacks("automations", known) and root.lacks("modules", known):
        fix = "add automations: with at least one entry, or modules: with @on functions"
        root.error("missing-key", "there is neither `automations` nor `modules`", fix)
    secrets = reading.step_secrets(automations, context)
    routes = Routes(settings.notify or NOBODY.default, context.routes)
    hidden = (*secrets, *routes.targets())
    automations = tuple(reading.with_secret_variables(item, settings, hidden) for item in automations)
    loaded = Loaded(
        settings=settings, automations=automations, functions=functions, step_secrets=secrets, routes=routes
    )
    return loaded, context.later


def _given(at: ConfigNode | None) -> tuple[str, ...]:
    """Return the keys of `aws` in the file, right or wrong."""
    if at is None:
        return ()
    if not isinstance(at.node, MappingNode):
        return ("account", "region")
    return tuple(str(key.value) for key, _ in at.node.entries)
