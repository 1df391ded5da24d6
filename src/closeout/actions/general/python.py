"""`python`: call a function of the configuration's own modules.

The function runs inside the server, with everything the server has. A thread cannot be killed, so neither can a
function that runs over its time: the step fails then, and `still_running` says that the call has not ended.
"""

from __future__ import annotations

import copy
import importlib
import json
import re
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from closeout.actions.general import attempts, outputs
from closeout.actions.spec import Action, Input, Inputs, Work, no_permissions, nothing_left
from closeout.core.errors import CloseoutError, InputError
from closeout.core.plan import Change
from closeout.core.retry import Retry
from closeout.core.threads import background
from closeout.ports import Clients, Json

RESULT_LIMIT = 100_000
"""Characters of JSON that a function may return."""

_NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_running: dict[str, threading.Thread] = {}


def anything_running() -> bool:
    """Whether a call of any execution has not ended yet; asked when none should."""
    return any(thread.is_alive() for thread in list(_running.values()))


class Context:
    """What the function gets first: the event, the run, the attempt, and the log."""

    def __init__(
        self, event: Mapping[str, Any], run_id: str, attempt: int, write: Callable[[str], None]
    ) -> None:
        self.event = event
        self.run_id = run_id
        self.attempt = attempt
        self._write: Callable[[str], None] | None = write

    def log(self, text: object) -> None:
        """Write a line to the run's log."""
        if self._write is not None:
            for line in str(text).splitlines() or [""]:
                self._write(line)

    def close(self) -> None:
        """End the log: what a call writes after its time is up would go into a finished step."""
        self._write = None


def still_running(execution: str) -> bool:
    """Whether a call of this execution has run over its time and has not ended yet."""
    for key, thread in list(_running.items()):
        if not thread.is_alive():
            _running.pop(key, None)
        elif key.rpartition("/")[0] == execution:
            return True
    return False


def find(name: str) -> Callable[..., Any]:
    """Import `pkg.module:name`. Raises `InputError` with the reason."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"`function` must be pkg.module:name, got {name!r}")
    module_name, path = match.groups()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise InputError(
                f"there is no module {module_name}; modules are looked up beside the file"
            ) from None
        raise InputError(f"{module_name} needs the module {error.name}, which is not installed") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise InputError(f"{module_name} has no function {path}")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{name} is not a function")
    return found  # type: ignore[no-any-return]


def plan(inputs: Inputs, _clients: Clients) -> Sequence[Change]:
    """Return the one call; a function that cannot be imported is found out here."""
    find(str(inputs["function"]))
    return plan_elsewhere(inputs, _clients)


def plan_elsewhere(inputs: Inputs, _clients: Clients) -> Sequence[Change]:
    """Return the one call, without the code: what of its name can be imported here would be something else."""
    given = ", ".join(f"{key}={value!r}" for key, value in (inputs.get("args") or {}).items())
    reason = f"with {given}" if given else "without arguments"
    return (Change(verb="call", resource=str(inputs["function"]), reason=reason[:200]),)


def apply(change: Change, inputs: Inputs, work: Work) -> Json:
    """Call the function to its end."""
    result = attempts.carry_out(work, lambda: _Call(inputs, work))["result"]
    return {"outputs": _outputs(result), "summary": f"{change.resource} returned", "public": "returned"}


def _outputs(result: Json) -> dict[str, Json]:
    return {} if result is None else result if isinstance(result, dict) else {"result": result}


class _Call(attempts.Attempt):
    """One call."""

    def __init__(self, inputs: Inputs, work: Work) -> None:
        self._inputs = inputs
        self._work = work

    def run(self, attempt: int) -> dict[str, Any]:
        """Call the function in a thread of its own, and wait for it as long as there is time."""
        name, work = str(self._inputs["function"]), self._work
        function = find(name)
        context = Context(work.event, work.run_id, attempt, work.log)
        # A function may change what it is handed, and another try must not see that.
        arguments = copy.deepcopy(self._inputs.get("args") or {})
        ended: dict[str, Any] = {}

        def call() -> None:
            try:
                ended["result"] = _json(function(context, **arguments))
            except BaseException as error:  # noqa: BLE001 - SystemExit too: no function may end the server
                ended["error"] = error

        limit = work.limit()
        thread = background(f"closeout-python-{work.step}", call)
        _running[f"{work.execution}/{work.step}"] = thread
        thread.start()
        thread.join(limit.seconds)
        context.close()
        if thread.is_alive():
            public = f"it did not return within {limit}; a call cannot be stopped, so it still runs"
            return {"result": None, "failed": f"{name}: {public}", "public": public}
        given = outputs.without_secrets(_outputs(ended.get("result")), work)
        return {"result": given or None, **self._failure(name, ended.get("error"))}

    def _failure(self, name: str, error: BaseException | None) -> dict[str, str | None]:
        if error is None:
            return {"failed": None}
        if isinstance(error, CloseoutError):
            return {"failed": f"{name}: {error.message}"}
        for line in "".join(traceback.format_exception(error)).splitlines()[-40:]:
            self._work.log(line)
        kind = f"raised {type(error).__name__}"
        return {"failed": f"{name} {kind}: {error}", "public": kind}


def _json(value: Any) -> Any:
    """Return what a function returned, as JSON gives it back. Raises `InputError`."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the result is not JSON: {error}") from None
    if len(text) > RESULT_LIMIT:
        raise InputError(
            f"the result is {len(text):,} characters of JSON, at most {RESULT_LIMIT:,} are allowed"
        )
    return json.loads(text)


def _check(inputs: Inputs) -> Sequence[str]:
    problems = []
    function, args = inputs.get("function"), inputs.get("args")
    if isinstance(function, str) and not _NAME.fullmatch(function):
        problems.append("`function` is pkg.module:name")
    if args is not None and not isinstance(args, Mapping):
        problems.append("`args` is a map of keyword arguments")
    elif isinstance(args, Mapping):
        problems += [
            f"`args.{key}` is not the name of an argument" for key in args if not str(key).isidentifier()
        ]
    return problems


def _look_up(inputs: Inputs) -> Sequence[str]:
    """Return why a run would not find the function; `closeout check` warns, since another machine may have what this one lacks."""
    try:
        find(str(inputs["function"]))
    except InputError as error:
        return (error.message,)
    return ()


ACTION = Action(
    uses="python",
    summary="Call a Python function of your own",
    description=(
        "Calls `pkg.module:name` as `name(context, **args)`; the folder of the configuration is on the module path."
        " `context` has `event` (a copy of the payload; changes to it do not reach other steps), `run_id`, `attempt` and"
        " `log(text)`. The function returns JSON, which is stored with the run: later steps read the entries of a"
        " dict as `steps.ID.outputs.NAME`, and anything else as `steps.ID.outputs.result`. If it raises, the step fails with the error,"
        " and the log has the traceback.\n\n"
        "`attempt` is 1, or higher if closeout may have called the function before: in a rerun, because of `retry`, or"
        " after a crash. Make the function safe to call twice.\n\n"
        "The function runs inside the server, and closeout cannot kill it: when its time is over, the step fails, but the"
        " call continues in its thread. Set time limits in the function, or use `shell`, whose processes are killed. On AWS"
        " the limit is 14 minutes, because Lambda ends a call after 15."
    ),
    inputs={
        "function": Input(type="string", description="`pkg.module:name`", required=True, templates=False),
        "args": Input(type="any", description="keyword arguments; texts may contain `${{ }}`"),
    },
    lingers=still_running,
    destructive="unless-declared",
    own_code=True,
    permissions=no_permissions,
    plan=plan,
    apply=apply,
    verify=nothing_left,
    timeout=900.0,
    retry=Retry(attempts=1),
    check=_check,
    look_up=_look_up,
    example="""\
- uses: python
  with:
    function: previews.cleanup:drop_database
    args: { number: '${{ event.pull_request.number }}' }
""",
)
