"""Play an automation in memory and return what happened: for unit tests of a `closeout.yaml` or an `@on` function.

The run, its guards and its live check are the real ones. GitHub, AWS, HTTP and scripts are not reached: each change that a
step would make is recorded instead of made. Heavy imports wait for the first `play`, because `closeout deliver` and the fake
servers import this package too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.config.functions import Run
from closeout.core import ids
from closeout.core.automation import Automation, status_contexts
from closeout.core.plan import Change
from closeout.testing import deliveries

if TYPE_CHECKING:
    from closeout.actions.spec import Action, Inputs, Work
    from closeout.config.load import Loaded
    from closeout.ports import AwsTarget, Clients, Ending, Execution, Json, PullRequest
    from closeout.testing.durable import MemoryDurable

GUID = "00000000-0000-4000-8000-000000000000"
HOME = "acme/shop"
"""The repository of a sample when the automation names none."""
_OF_FUNCTION = "function/"
_OWN = (f"{_OF_FUNCTION}mode", f"{_OF_FUNCTION}end")
"""What the run records of a function besides the function's own operations."""


class PostedStatus(NamedTuple):
    """A commit status that the run posted."""

    state: str
    """`pending`, `success`, `failure` or `error`."""
    description: str
    context: str
    """`closeout/AUTOMATION` unless the automation says otherwise."""


class PlayedStep(NamedTuple):
    """A step: what it planned and how it ended. An `@on` function is one step, `function`, without a plan."""

    id: str
    uses: str
    """The action; empty for a function."""
    state: str
    """`success`, `failure`, `skipped` or `cancelled`."""
    text: str
    """The reason, or the summary."""
    plan: tuple[Change, ...]
    """What the step would change: `verb`, `resource` and `reason` of each change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a run did."""

    verdict: str
    """`success`, `failure`, `cancelled` or `skipped`; `skipped` also for an event that would start no run."""
    summary: str
    """The sentence in the last status and in `closeout runs show`."""
    steps: tuple[PlayedStep, ...]
    """In the file's order."""
    log: tuple[str, ...]
    """The lines of the run's log."""
    statuses: tuple[PostedStatus, ...]
    """In the order in which they were posted."""
    calls: tuple[str, ...]
    """In order: each change that a step would have made, as `VERB RESOURCE` (`delete stack preview-17`); each `python` step
    that succeeded, as `call MODULE:FUNCTION`; of an `@on` function the names of its operations."""


def play(
    function_or_config: Callable[[Run], object] | Path | str,
    event: Mapping[str, Any] | tuple[str, Mapping[str, Any]] | str,
    *,
    automation: str | None = None,
    reopened: bool = False,
    paths: Sequence[str] = (),
    bases: Sequence[str] = (),
) -> Played:
    """Carry out one automation on one event in memory and return what happened.

    `function_or_config` is an `@on` function, the path of a `closeout.yaml`, or its text; `automation` names the entry if
    the file has several. `event` is the name of a sample (`closeout.testing.deliveries.SAMPLES`), a payload, or
    `(event, payload)` if the automation starts on several events. `reopened` makes the live check find the pull request
    open, or the ref there. `paths` are the files that the pull request changes, `bases` its earlier base branches.

    It calls your Python code: the function, what it records, and `python` steps. Waits end at once. Nothing else leaves
    the process: an `aws/*` step finds what it names, and `play` only notes deletes, scripts, requests, comments and
    dispatches.

    Raises `ConfigError` for a configuration that `closeout check` would refuse, `ValueError` when the automation or the
    event is not clear.
    """
    from closeout.actions.registry import builtin
    from closeout.config.load import load, load_function, load_text

    registry = builtin()
    if callable(function_or_config):
        loaded, has_token = load_function(function_or_config, registry), True
    else:
        given = str(function_or_config)
        loaded = load_text(given, registry) if "\n" in given else load(given, registry)
        has_token = loaded.settings.secrets_github is not None
    chosen = _choose(loaded, automation)
    name, payload = _event(event, chosen)
    world = _World(payload, reopened, paths, bases)
    return world.play(loaded, chosen, name, registry, has_token=has_token)


def _choose(loaded: Loaded, name: str | None) -> Automation:
    found = [one for one in loaded.automations if name in (None, one.name)]
    if len(found) != 1:
        known = ", ".join(one.name for one in loaded.automations)
        raise ValueError(f"say which automation to play: automation= is one of {known}")
    return found[0]


def _event(
    event: Mapping[str, Any] | tuple[str, Mapping[str, Any]] | str, automation: Automation
) -> tuple[str, Mapping[str, Any]]:
    if isinstance(event, tuple):
        return event
    if isinstance(event, str):
        if event not in deliveries.SAMPLES:
            raise ValueError(f"there is no sample {event}; there are {', '.join(deliveries.SAMPLES)}")
        plain = (one for one in automation.repositories if not set(one) & set("*?+[!"))
        return deliveries.sample(event, repository=next(plain, HOME))
    names = sorted({str(trigger["event"]) for trigger in automation.triggers})
    if len(names) != 1:
        raise ValueError(f"{automation.name} starts on {', '.join(names)}: give the event as (name, payload)")
    return names[0], event


@dataclass(slots=True)
class _World:
    """What stands in for everything outside: `ports.GitHub`, clients, the journal and the switch of one run."""

    _payload: Mapping[str, Any]
    _reopened: bool
    _paths: Sequence[str]
    _bases: Sequence[str]
    _target: AwsTarget | None = None
    _lines: list[str] = field(default_factory=list)
    _statuses: list[PostedStatus] = field(default_factory=list)
    _calls: list[str] = field(default_factory=list)
    _called: set[str] = field(default_factory=set)

    def play(
        self,
        loaded: Loaded,
        automation: Automation,
        event: str,
        registry: Mapping[str, Action],
        *,
        has_token: bool,
    ) -> Played:
        """Run the automation to its end."""
        from closeout.core.redact import Redactor
        from closeout.run.deps import RunDeps
        from closeout.run.workflow import make_run_function
        from closeout.testing.durable import FakeClock, MemoryDurable, play

        clock = FakeClock()
        memory = MemoryDurable(clock)
        deps = RunDeps(
            actions={name: self._noting(action) for name, action in registry.items()},
            clients=self,
            github=self,
            journal=self,
            clock=clock,
            switch=self,
            redact=Redactor(),
            current=loaded.current,
            functions=loaded.functions,
            directory=loaded.directory,
            own_contexts=partial(status_contexts, loaded.automations),
            has_token=has_token,
        )
        execution = self._execution(automation, event, clock.now())
        ending = play(make_run_function(deps), memory, execution)
        return self._played(ending, memory, automation)

    def _execution(self, automation: Automation, event: str, now: float) -> Execution:
        from closeout.ports import Execution

        run = ids.run_id(GUID, automation.name)
        return Execution(
            id=ids.execution_id(run, 1),
            run_id=run,
            attempt=1,
            automation=automation.name,
            definition=automation.canonical(),
            event_name=event,
            delivery=1,
            guid=GUID,
            hook="1",
            body=deliveries.encode(dict(self._payload)),
            accepted_at=now,
            queue_expired=False,
        )

    def _played(self, ending: Ending, memory: MemoryDurable, automation: Automation) -> Played:
        from closeout.ledger.steps import step_views

        operations = list(memory.operations.values())
        views = step_views(automation.canonical(), operations, verdict=ending.verdict, full=True)
        of_function = [
            one.name.removeprefix(_OF_FUNCTION)
            for one in operations
            if one.name.startswith(_OF_FUNCTION) and one.name not in _OWN and one.state == "ok"
        ]
        calls = self._calls if automation.function is None else of_function
        return Played(
            verdict=ending.verdict,
            summary=ending.summary,
            steps=tuple(
                PlayedStep(
                    view.id,
                    view.uses,
                    view.state,
                    view.reason or view.summary or "",
                    tuple(Change.from_json(change) for change in view.changes or ()),
                )
                for view in views
                if view.state != "pending"
            ),
            log=tuple(self._lines),
            statuses=tuple(self._statuses),
            calls=tuple(calls),
        )

    # --- the actions -------------------------------------------------------------------------------------------

    def _noting(self, action: Action) -> Action:
        """Return the action with every change recorded instead of made; a `python` step's function is called as well."""
        if action.uses == "python":
            return replace(action, apply=partial(self._call, action))
        plan = partial(_plan, action) if action.needs_aws else action.plan
        return replace(
            action, plan=plan, apply=self._note, verify=lambda _changes, _clients: (), read_tags=None
        )

    def _call(self, action: Action, change: Change, inputs: Inputs, work: Work) -> Json:
        result = action.apply(change, inputs, work)
        if work.step not in self._called:  # a replay passes here again
            self._called.add(work.step)
            self._calls.append(f"{change.verb} {change.resource}")
        return result

    def _note(self, change: Change, _inputs: Inputs, work: Work) -> Json:
        did = f"{change.verb} {change.resource}"

        def note() -> Json:
            work.log(did)
            self._calls.append(did)
            return {}

        work.change("call", note)
        return {"summary": did, "public": did}

    # --- ports.ClientFactory, ports.Clients --------------------------------------------------------------------

    def for_step(self, target: AwsTarget | None) -> Clients:
        self._target = target
        return self

    def account(self) -> str:
        return self._target.account if self._target else ""

    def aws(self, service: str) -> Any:
        raise NotImplementedError(service)

    @property
    def github(self) -> _World:
        return self

    @property
    def http(self) -> Any:
        raise NotImplementedError

    @property
    def secrets(self) -> Any:
        raise NotImplementedError

    # --- ports.GitHub ------------------------------------------------------------------------------------------

    def create_status(
        self, repository: str, sha: str, *, state: str, context: str, description: str, target_url: str | None
    ) -> None:
        self._statuses.append(PostedStatus(state, description, context))

    def pull_request(self, repository: str, number: int) -> PullRequest:
        from closeout.ports import PullRequest

        pull = self._payload["pull_request"]
        base = pull["base"]["repo"]
        return PullRequest(
            id=pull["id"],
            number=number,
            state="open" if self._reopened else "closed",
            base_repository_id=base["id"],
            base_repository=base["full_name"],
            base_owner_id=(base.get("owner") or {}).get("id", 0),
            head_ref=pull["head"]["ref"],
            closed_at=None if self._reopened else pull.get("closed_at"),
        )

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]:
        return tuple(self._paths)

    def open_pull_requests(self, repository: str, branch: str) -> tuple[int, ...]:
        return ()

    def ref_exists(self, repository: str, ref: str) -> bool:
        return self._reopened and ref.endswith(f"/{self._payload['ref']}")

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Answer whose token it is, which bases the pull request had, and which repository the event is about."""
        if path == "/graphql":
            return self._timeline()
        return {"id": 1} if path == "/user" else self._payload["repository"]

    def _timeline(self) -> Json:
        pull = self._payload["pull_request"]
        now = pull["base"]["ref"]
        nodes = [{"previousRefName": base, "currentRefName": now} for base in self._bases]
        items = {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}
        shown = {"number": pull["number"], "baseRefName": now, "timelineItems": items}
        return {"data": {"repository": {"pullRequest": shown}}}

    # --- ports.Journal, ports.Switch ---------------------------------------------------------------------------

    def write(self, execution: str, step: str | None, text: str) -> None:
        self._lines.append(text)

    def paused(self) -> str | None:
        return None


def _plan(action: Action, inputs: Inputs, _clients: Clients) -> Sequence[Change]:
    """Return the plan for which everything exists that an `aws/*` step names."""
    names = [str(inputs[name]) for name, spec in action.inputs.items() if spec.names and spec.required]
    verb, resource = (
        ("delete", action.absent(inputs)) if action.absent else ("start", f"{action.uses} {' '.join(names)}")
    )
    name = names[0] if names else None
    return (Change(verb=verb, resource=resource, reason="play assumes that it exists", name=name),)
