"""Check for what works locally but not on AWS, and report errors with their place in the file before deployment.

Otherwise the first pull request that closes would find each of these.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from closeout.actions.general.python import find
from closeout.actions.registry import builtin
from closeout.config import document, permissions
from closeout.config.document import Node
from closeout.config.findings import Finding, Findings, mask, printable
from closeout.config.load import Loaded
from closeout.core.automation import Automation, Step
from closeout.core.errors import ConfigError, InputError
from closeout.core.patterns import compile_patterns
from closeout.core.problems import Route, Routes
from closeout.core.units import DAY, duration_text
from closeout.core.url import parse_base
from closeout.stack import table
from closeout.stack.invocation import LONGEST_CALL, WHY
from closeout.stack.problems import is_notifiable
from closeout_cdk import bundling, programs
from closeout_cdk.parameters import Parameters

ONE_CALL = frozenset(("shell", "python", "http/request"))
"""Actions that are one call inside the process; all others wait durably between calls."""
LONGEST_EXECUTION = 31_622_400.0
"""Seconds: Lambda's limit for a durable execution."""


class Problem(NamedTuple):
    """A mistake at a path of the file, like `("automations", "preview", "steps", 0, "timeout")`."""

    path: tuple[str | int, ...]
    code: str
    message: str
    fix: str
    severity: str = "error"


def check(loaded: Loaded, given: Parameters, places: tuple[Path, ...]) -> tuple[Finding, ...]:
    """Return the warnings. Raises `ConfigError` with FILE:LINE:COL for every part that cannot work on AWS.

    `places` are the folders whose code goes into the worker's bundle.
    """
    place = Places(given.config_file)
    found = tuple(_problems(loaded, given, places, place))
    findings = tuple(place.finding(problem) for problem in found)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise ConfigError("\n".join(finding.text() for finding in errors), findings=findings)
    return findings


class Places:
    """Finds the place of a value in the file: its own, or that of the enclosing value if it is a default."""

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        text, _ = document.read(path)
        self._lines = (text or "").splitlines()
        self._root = document.parse(text or "", Findings(self._file, text or ""))

    def finding(self, problem: Problem) -> Finding:
        """Return the finding of a problem."""
        line, column = self.of(problem.path)
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.path)[1:]
        return Finding(
            file=self._file,
            line=line,
            column=column,
            code=problem.code,
            message=f"{dotted}: {problem.message}",
            fix=problem.fix,
            severity="warning" if problem.severity == "warning" else "error",
            source=printable(mask(self._lines[line - 1])) if line <= len(self._lines) else "",
        )

    def has(self, path: tuple[str | int, ...]) -> bool:
        """Return whether the file contains a value; otherwise it is a default."""
        node: Node | None = self._root
        for part in path:
            node = _child(node, part)
        return node is not None

    def of(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Return line and column, both from 1."""
        node: Node | None = self._root
        line, column = (node.line, node.column) if node is not None else (1, 1)
        for part in path:
            node = _child(node, part)
            if node is None:
                break
            line, column = node.line, node.column
        return line, column


def _child(node: Node | None, part: str | int) -> Node | None:
    if isinstance(node, document.Mapping) and isinstance(part, str):
        return node.get(part)
    if isinstance(node, document.Sequence) and isinstance(part, int) and part < len(node.items):
        return node.items[part]
    return None


# --- the checks -------------------------------------------------------------------------------------------------


def _problems(loaded: Loaded, given: Parameters, places: tuple[Path, ...], file: Places) -> Iterator[Problem]:
    yield from _modules(loaded, places)
    yield from _api_url(loaded, given)
    yield from _branch(loaded, given)
    yield from _time(loaded.automations, given.retention_days * DAY)
    yield from _runs_of_one_delivery(loaded.automations)
    files = [name for name, _ in bundling.code_files(given.code_path)] if given.code_path else []
    for automation in loaded.automations:
        for number, step in enumerate(automation.steps):
            at = ("automations", automation.name, "steps", number)
            yield from _call_time(step, at, written=file.has((*at, "timeout")))
            yield from _secrets(step, at)
            yield from _deleting_rights(step, at)
            if step.uses == "shell":
                yield from _programs(step, at, files)
            if step.uses == "python":
                yield from _function(step, at, places)
    yield from _wide_names(loaded.automations)
    yield from _notify(loaded.routes)


def _modules(loaded: Loaded, places: tuple[Path, ...]) -> Iterator[Problem]:
    """Yield a problem for every module that exists here and is not in the bundle."""
    for number, name in enumerate(loaded.settings.modules):
        why = _not_bundled(name, places)
        if why is not None:
            yield Problem(("modules", number), "module-failed", why, _BUNDLE_IT)


_BUNDLE_IT = "set codePath in cdk.context.json to the folder that has it: that goes into the worker's bundle"


def _function(step: Step, at: tuple[str | int, ...], places: tuple[Path, ...]) -> Iterator[Problem]:
    """Import a `python` step's function; yield a problem if that fails or if it is not in the bundle."""
    name = str(step.inputs.get("function", ""))
    why = None
    try:
        find(name)
    except InputError as error:
        why = error.message
    why = why or _not_bundled(name.partition(":")[0], places)
    if why is not None:
        yield Problem((*at, "with", "function"), "module-failed", why, _BUNDLE_IT)


def _not_bundled(module: str, places: tuple[Path, ...]) -> str | None:
    """Return where a module comes from if the worker does not have it, else None."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None
    file = Path(_file_of(module))
    if any(file.resolve().is_relative_to(place.resolve()) for place in places):
        return None
    return f"`{module}` comes from {file}, which is not in the worker's bundle"


def _file_of(module: str) -> str:
    return str(getattr(sys.modules.get(module), "__file__", None) or "this Python")


def _api_url(loaded: Loaded, given: Parameters) -> Iterator[Problem]:
    url = loaded.settings.api_url
    name = url.removeprefix("env:")
    if name == url:
        return
    fix = f'set it in cdk.context.json: "environment": {{ "{name}": "https://…" }}'
    if name not in given.environment:
        yield Problem(("github", "api-url"), "bad-value", f"the worker has no variable {name}", fix)
        return
    try:
        parse_base(given.environment[name])
    except InputError as error:
        yield Problem(("github", "api-url"), "bad-url", f"the variable {name}: {error.message}", fix)


def _branch(loaded: Loaded, given: Parameters) -> Iterator[Problem]:
    """Yield a problem if no automation covers the branch in the write-up's `pPrToBranch`."""
    if given.branch is None or any(_about(item, given.branch) for item in loaded.automations):
        return
    message = f"no automation is about pull requests into `{given.branch}`, which pPrToBranch names"
    fix = f"write on: {{ pull_request: {{ types: [closed], branches: [{given.branch}] }} }}"
    yield Problem(("automations",), "bad-value", message, fix)


def _notify(routes: Routes) -> Iterator[Problem]:
    """Yield a warning for each target that a stack cannot send to. It is not an error, because a server may use the same file."""
    named: dict[tuple[str, ...], Route] = {("notify", "to"): routes.default}
    named |= {("automations", name, "notify", "to"): one for name, one in routes.automations.items()}
    for at, route in named.items():
        for target in route.to:
            if not is_notifiable(target):
                yield Problem(
                    at,
                    "bad-value",
                    f"`{target}` does not exist on AWS, so nothing is sent there",
                    _TELL,
                    "warning",
                )


_TELL = "keep the URL in Secrets Manager (aws-secretsmanager:NAME), or add the ARN of a topic of SNS"


def _about(automation: Automation, branch: str) -> bool:
    for trigger in automation.triggers:
        wanted = trigger.get("branches")
        if trigger.get("event") == "pull_request" and (
            not wanted or compile_patterns(wanted).matches(branch)
        ):
            return True
    return False


def _time(automations: tuple[Automation, ...], kept: float) -> Iterator[Problem]:
    """Yield a problem for a run that may take longer than Lambda allows, or than the ledger keeps it."""
    for automation in automations:
        total = automation.queue_timeout + automation.timeout
        at = ("automations", automation.name, "timeout")
        if total > LONGEST_EXECUTION - 3600:
            message = "queue-timeout and timeout are together longer than Lambda's limit of 366 days"
            yield Problem(at, "out-of-range", message, "shorten one of them")
        elif total > kept:
            days = f"{kept / DAY:.0f} days"
            message = (
                f"a run may take longer, with queue-timeout and timeout, than the {days} for which it is kept"
            )
            yield Problem(at, "out-of-range", message, "raise retentionDays in cdk.context.json")


def _deleting_rights(step: Step, at: tuple[str | int, ...]) -> Iterator[Problem]:
    """Yield a warning about whose rights delete a stack's resources, because no emulator shows that."""
    alone = step.assume_role is None and not step.inputs.get("role-arn")
    if step.uses == "aws/cloudformation-delete-stack" and alone:
        message = (
            "without `role-arn` CloudFormation deletes the resources with the role that the stack was made with (stacks of"
            " the CDK have one), else with the worker's rights, which are to read stacks and to delete them"
        )
        yield Problem(
            at, "missing-input", message, "give role-arn a role that may delete what is in it", "warning"
        )


def _call_time(step: Step, at: tuple[str | int, ...], *, written: bool) -> Iterator[Problem]:
    if step.uses not in ONE_CALL or step.timeout <= LONGEST_CALL:
        return
    longest, own = duration_text(LONGEST_CALL), duration_text(step.timeout)
    if not written:
        message = f"`{step.uses}` may take {own} by default, and here it is stopped after {longest}: {WHY}"
        yield Problem(at, "out-of-range", message, f"give it a timeout of at most {longest}", "warning")
    else:
        message = f"`{step.uses}` is one call, which may take {longest} here and not {own}: {WHY}"
        fix = f"write at most {longest}, or start something that is waited for (aws/codebuild-start-build)"
        yield Problem((*at, "timeout"), "out-of-range", message, fix)


def _runs_of_one_delivery(automations: tuple[Automation, ...]) -> Iterator[Problem]:
    """Yield a problem for more automations on one event than one delivery can start."""
    events: dict[str, list[Automation]] = {}
    for automation in automations:
        for event in {str(trigger["event"]) for trigger in automation.triggers}:
            events.setdefault(event, []).append(automation)
    for event, found in events.items():
        names = max(_together(found), key=len)
        if len(names) > table.MOST_RUNS:
            message = f"{len(names)} automations are on `{event}`, and a delivery can start {table.MOST_RUNS} runs on AWS"
            fix = "put steps that belong together into one automation, or deploy a second stack with its own hook"
            yield Problem(("automations", names[table.MOST_RUNS], "on"), "out-of-range", message, fix)


def _together(automations: list[Automation]) -> Iterator[list[str]]:
    """Yield the names of automations that may match one delivery, for each repository that is named without a pattern."""

    def open_to(automation: Automation, repository: str) -> bool:
        named = automation.repositories
        return not named or repository in named or any(set(pattern) & set("*?[+!") for pattern in named)

    for repository in {"", *(name for automation in automations for name in automation.repositories)}:
        yield [automation.name for automation in automations if open_to(automation, repository)]


def _secrets(step: Step, at: tuple[str | int, ...]) -> Iterator[Problem]:
    """Yield a problem for `env:` and `file:` inside steps, because they do not exist on AWS."""
    for key, spec in builtin()[step.uses].inputs.items():
        if not spec.secret or key not in step.inputs:
            continue
        value = step.inputs[key]
        texts: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
        if isinstance(value, Mapping):
            texts = [((str(name),), text) for name, text in value.items()]
        for name, text in texts:
            kind = str(text).partition(":")[0]
            if kind in ("env", "file"):
                message = f"`{kind}:` does not exist in the worker on AWS"
                fix = "keep it in Secrets Manager: aws-secretsmanager:NAME"
                yield Problem((*at, "with", key, *name), "bad-reference", message, fix)


def _programs(step: Step, at: tuple[str | int, ...], files: list[str]) -> Iterator[Problem]:
    argv = step.inputs.get("argv")
    place: tuple[str | int, ...] = ("argv", 0) if argv else ("run",)
    called = (str(argv[0]),) if argv else programs.of_script(str(step.inputs.get("run") or ""), files)
    for name in called:
        why = programs.missing(name, files)
        if why is not None:
            fix = "put it into codePath and call it as ./NAME, or do it in a step of another kind"
            yield Problem((*at, "with", *place), "bad-input", why, fix)


def _wide_names(automations: tuple[Automation, ...]) -> Iterator[Problem]:
    numbers = {(item.name, step.id): number for item in automations for number, step in enumerate(item.steps)}
    for wide in permissions.too_wide(automations, builtin()):
        at = (
            "automations",
            wide.automation,
            "steps",
            numbers[wide.automation, wide.step],
            "with",
            wide.input,
        )
        message = (
            f"`{wide.name}` begins with fewer than {permissions.LITERAL_PREFIX} fixed characters, so the worker would be"
            " allowed nearly everything of that kind"
        )
        fix = "begin the name with fixed text (preview-${{ … }}), or give the step an assume-role of your own"
        yield Problem(at, "bad-input", message, fix)
