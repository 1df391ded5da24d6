"""`shell`: run a program or a script on the machine that closeout runs on.

It is not a sandbox: the script can do whatever closeout's user can do. closeout keeps its own secrets out of
the environment, keeps payload text out of the command line, and ends every process of a script at its time limit
or with the server.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from closeout.actions.general import attempts, outputs
from closeout.actions.spec import Action, Input, Inputs, Limit, Work, no_permissions, nothing_left
from closeout.core.errors import ActionFailed, InputError
from closeout.core.plan import Change
from closeout.core.retry import Retry
from closeout.ports import Clients, Json

if TYPE_CHECKING:
    from closeout.actions.general.process import Output, Supervised

SHELL = ("/bin/sh", "-eu", "-c")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVERS = ("GITHUB_TOKEN", "CLOSEOUT_METRICS_TOKEN")
"""Secrets that the server reads from its environment without a reference in the file."""
_OURS = ("CLOSEOUT_EVENT_PATH", "CLOSEOUT_RUN_ID", "CLOSEOUT_ATTEMPT", *outputs.VARIABLES)
_QUOTED_CHARACTERS = 100
"""Limit of the line that a failure quotes: a commit status has 140 characters, and the exit code is at its end."""


def environment(
    server: Mapping[str, str], settings: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the script's environment: the server's, without anything that may be a secret, then `env:`.

    Left out: variables that a secret reference of the file names, `AWS_*`, `GH_*`, `GITHUB_TOKEN`, and the token
    for the server's metrics. `pass-env` names variables to keep.
    """
    passed = set(settings.get("pass-env") or ())
    secret = set(settings.get("secret-variables") or ())
    kept = {
        name: value
        for name, value in server.items()
        if name in passed
        or not (name in secret or name.startswith(("AWS_", "GH_")) or name in (*_SERVERS, *_OURS))
    }
    return {**kept, **{name: str(value) for name, value in given.items()}}


def plan(inputs: Inputs, _clients: Clients) -> Sequence[Change]:
    """Return the one command in full, so that a plan shows every line of a script."""
    argv = _argv(inputs)
    shown = shlex.join(argv) if inputs.get("argv") else str(inputs["run"]).strip("\n").rstrip()
    variables = inputs.get("env") or {}
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise InputError(f"`env.{name}` is not the name of a variable")
        if "\0" in str(value):
            raise InputError(f"`env.{name}` contains a NUL character, which no variable can")
    given = ", ".join(f"{name}={json.dumps(value)}" for name, value in variables.items())
    reason = f"with {given}" if given else f"on this machine, by {argv[0]}"
    return (Change(verb="run", resource=shown, reason=_cut(reason, 200)),)


def apply(change: Change, inputs: Inputs, work: Work) -> Json:
    """Run the command to its end, streaming its output into the log."""
    outcome = attempts.carry_out(work, lambda: _Execution(change, inputs, work))
    given = outcome.get("outputs", {})
    return {"exit": outcome["exit"], "outputs": given, "summary": "exit code 0", "public": "exit code 0"}


class _Execution(attempts.Attempt):
    """One execution of the command."""

    _process: Supervised
    """Made by `begin`."""

    def __init__(self, change: Change, inputs: Inputs, work: Work) -> None:
        self._change = change
        self._inputs = inputs
        self._work = work

    def begin(self) -> Json:
        """Start a supervisor. Its pid and start time are recorded before it gets a command."""
        from closeout.actions.general.process import Supervised  # noqa: PLC0415 - 15 ms, when a script first runs

        self._process = Supervised()
        return self._process.identity

    def run(self, attempt: int) -> dict[str, Any]:
        """Run the command."""
        from closeout.actions.general.process import Output  # noqa: PLC0415

        work = self._work
        ours = {"CLOSEOUT_RUN_ID": work.run_id, "CLOSEOUT_ATTEMPT": str(attempt)}
        variables = environment(os.environ, work.settings, self._inputs.get("env") or {})
        limit = work.limit()
        output = Output(work.log)
        begins = _cut(_first_line(self._change.resource), 80)
        work.log(f"running {begins}" + (f" (attempt {attempt})" if attempt > 1 else ""))
        code = self._process.run(
            _argv(self._inputs),
            environment={**variables, **ours},
            directory=str(work.settings.get("directory") or "."),
            event=work.event,
            timeout=limit.seconds,
            output=output,
        )
        return {"exit": code, **self._judge(code, limit, output)} | self._given(code)

    def _given(self, code: int | None) -> dict[str, Any]:
        """Return the outputs of a successful command, or why they cannot be read."""
        if code != 0 or not self._process.written:
            return {}
        try:
            return {"outputs": outputs.without_secrets(outputs.parse(self._process.written), self._work)}
        except ActionFailed as error:
            return {"failed": error.message, "public": error.message}

    def end_earlier(self, begun: Json) -> None:
        """End every process of an interrupted try. Raises `ActionFailed` if one still runs."""
        from closeout.actions.general.process import end_survivor  # noqa: PLC0415

        if not end_survivor(begun):
            raise ActionFailed(f"an earlier try still runs as process {begun['pid']} and cannot be ended")

    def dispose(self) -> None:
        """End the supervisor."""
        self._process.dispose()

    def _judge(self, code: int | None, limit: Limit, output: Output) -> dict[str, str | None]:
        if code == 0:
            return {"failed": None}
        if code is None:
            how = f"stopped: it did not end within {limit}"
            last = self._quoted(output.last)
            return {"failed": how + (f": {last}" if last else ""), "public": how}
        how = f"exit code {code}"
        error = self._quoted(output.error or output.last)
        return {"failed": f"{error} ({how})" if error else how, "public": how}

    def _quoted(self, line: str) -> str:
        return _cut(self._work.clean(line).strip(), _QUOTED_CHARACTERS)


def _argv(inputs: Inputs) -> list[str]:
    if inputs.get("argv"):
        return [str(part) for part in inputs["argv"]]
    if not str(inputs.get("run") or "").strip():
        raise InputError("give `argv` or `run`")
    return [*SHELL, str(inputs["run"])]


def _first_line(script: str) -> str:
    return next(line for line in script.splitlines() if line.strip())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _check(inputs: Inputs) -> Sequence[str]:
    problems = []
    if bool(inputs.get("argv")) == bool(str(inputs.get("run") or "").strip()):
        problems.append("give either `argv`, a list, or `run`, a script")
    given = inputs.get("env") or {}
    if isinstance(given, Mapping):
        problems += [
            f"`env.{name}` is not the name of a variable" for name in given if not _VARIABLE.fullmatch(name)
        ]
        problems += [f"`env.{name}` is set by closeout itself" for name in given if name in _OURS]
    return problems


_BY_ENV = (
    "pass it by `env: { NAME: '${{ … }}' }` and use \"$NAME\": a script must never be made of payload text"
)

ACTION = Action(
    uses="shell",
    summary="Run a program or a script on closeout's machine",
    description=(
        "Runs `argv` directly, or `run` by `/bin/sh -eu -c`, in the folder of the configuration. An exit code other"
        " than 0 is a failure that quotes the last line of stderr. The log gets stdout and stderr, redacted and without escape"
        " sequences: the first 8,000 lines (800 KB) as they come, the last 2,000 (200 KB) at the end.\n\n"
        "**No sandbox.** The script can do whatever closeout's user can do. It gets:\n\n"
        "* the server's environment, except variables that the file's secret references name, `AWS_*`, `GH_*`,"
        " `GITHUB_TOKEN` and `CLOSEOUT_METRICS_TOKEN`; `pass-env` on the step passes the variables that it names;\n"
        "* `env`, whose values can contain `${{ }}`. `run` and `argv` cannot: text from a payload must never be part of"
        " a command;\n"
        "* `CLOSEOUT_EVENT_PATH`, a file with the payload as JSON that only this user can read; `CLOSEOUT_RUN_ID`;\n"
        "* `GITHUB_OUTPUT` and `CLOSEOUT_OUTPUT`, a file for lines `NAME=value`, as in GitHub Actions, which later steps"
        " read as `steps.ID.outputs.NAME`;\n"
        "* `CLOSEOUT_ATTEMPT`: 1, or higher if the script may have run before, in a rerun, because of `retry`, or after"
        " a crash. Make scripts safe to run twice.\n\n"
        "At the time limit, or when the server dies, the whole process group gets SIGTERM, and SIGKILL after 5 seconds."
        " Background processes of a script end with it. On AWS the limit is 14 minutes, because Lambda ends a call"
        " after 15."
    ),
    inputs={
        "argv": Input(
            type="list",
            description="program and arguments, no shell in between",
            templates=False,
            instead=_BY_ENV,
        ),
        "run": Input(
            type="string", description="a script for `/bin/sh -eu`", templates=False, instead=_BY_ENV
        ),
        "env": Input(type="map", description="more variables; values may contain `${{ }}`"),
    },
    destructive="unless-declared",
    own_code=True,
    passes_env=True,
    permissions=no_permissions,
    plan=plan,
    apply=apply,
    verify=nothing_left,
    timeout=3600.0,
    retry=Retry(attempts=1),
    check=_check,
    example="""\
- uses: shell
  with:
    run: dropdb --if-exists "preview_$NUMBER"
    env: { NUMBER: '${{ event.pull_request.number }}' }
  pass-env: [PGPASSFILE]
""",
)
