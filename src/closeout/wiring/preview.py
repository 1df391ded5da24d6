"""`explain` and `plan` for a configuration, without a server or a ledger.

They use the same clients and credentials as a server would, so a plan that is shown is possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from closeout.actions.spec import Action
from closeout.adapters.clock import SystemClock
from closeout.config.load import Loaded
from closeout.core.errors import CloseoutError
from closeout.core.redact import Redactor
from closeout.orphans.audit import Target
from closeout.run import explain as run_explain
from closeout.run import planning
from closeout.run.bases import bases_of
from closeout.run.closed_event import read_closed_event
from closeout.run.deps import RunDeps
from closeout.wiring.clients import LazyGitHub, SharedClients, configured_clients


def explain(
    loaded: Loaded, event: str, payload: Mapping[str, Any], use_network: bool
) -> list[dict[str, Any]]:
    """Explain for each automation whether the event would start it; `use_network` asks GitHub for paths and earlier bases."""
    if not use_network:
        return run_explain.explain(loaded.automations, event, payload)
    github = github_of(loaded)
    bases = partial(bases_of, github) if loaded.settings.secrets_github else None
    return run_explain.explain(loaded.automations, event, payload, github.pull_request_files, bases)


class Planner:
    """Makes the plans of one configuration, with one set of clients: a server's, or its own. Reads only.

    With `code_here` false, as for a stack, no Python code of the configuration is imported.
    """

    def __init__(
        self,
        loaded: Loaded,
        clients: SharedClients | None = None,
        redactor: Redactor | None = None,
        *,
        code_here: bool = True,
    ) -> None:
        self._loaded = loaded
        self._redactor = redactor or Redactor()
        self._clients = clients or configured_clients(loaded, SystemClock(), self._redactor)
        self._github = LazyGitHub(self._clients)
        quiet = _Quiet()
        self._deps = RunDeps(
            actions=_actions(code_here=code_here),
            clients=self._clients,
            github=self._github,
            journal=quiet,
            clock=SystemClock(),
            switch=quiet,
            redact=self._redactor,
            current=loaded.current,
            functions=loaded.functions,
            directory=loaded.directory,
            has_token=self._clients.has_token,
        )

    def plan(
        self, event: str, payload: Mapping[str, Any], *, only: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the plans of the automations that the event would start: `run.planning.preview`'s rows; `only` names one.

        An automation whose run would fail before its first step has no steps, and an `error`. The same goes for one whose
        match depends on earlier bases that GitHub does not tell.

        Raises GitHub's error, or the token's, if a filter needs a pull request's paths: an unknown match is never shown as
        no match.
        """
        by_name = {one.name: one for one in self._loaded.automations if only in (None, one.name)}
        failed: list[CloseoutError] = []

        def paths_of(repository: str, number: int) -> Sequence[str]:
            try:
                paths: Sequence[str] = self._github.pull_request_files(repository, number)
            except CloseoutError as error:
                failed.append(error)
                raise
            return paths

        bases = partial(bases_of, self._github) if self._clients.has_token else None
        rows = run_explain.explain(tuple(by_name.values()), event, payload, paths_of, bases)
        if failed:
            raise failed[0]
        planned: list[dict[str, Any]] = []
        for row in rows:
            automation = by_name[row["name"]]
            if row["matched"]:
                planned.append(planning.preview(self._deps, automation, event, payload))
            elif row["outcome"] in (run_explain.FAIL, run_explain.UNKNOWN):
                error = {"code": row["code"], "message": self._redactor.text(row["reason"])}
                planned.append(
                    {"name": automation.name, "mode": automation.mode, "steps": [], "error": error}
                )
        return planned

    def plan_cleaning(self, target: Target) -> list[dict[str, Any]]:
        """Return the plan that would delete an orphan: of one automation, for a pull request as GitHub shows it now."""
        closed = read_closed_event(self._github, target.repository, target.number, self._clients.now())
        return self.plan("pull_request", closed.payload, only=target.automation)


def github_of(loaded: Loaded) -> LazyGitHub:
    """Return GitHub with the configured token."""
    return LazyGitHub(configured_clients(loaded, SystemClock(), Redactor()))


class _Quiet:
    """A journal and a switch for plans that are only shown."""

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Keep nothing."""

    def paused(self) -> str | None:
        """Return None: nothing is changed, so nothing needs to wait."""
        return None


def _actions(*, code_here: bool) -> Mapping[str, Action]:
    from closeout.actions.general import python
    from closeout.actions.registry import builtin

    if code_here:
        return builtin()
    return {**builtin(), python.ACTION.uses: replace(python.ACTION, plan=python.plan_elsewhere)}
