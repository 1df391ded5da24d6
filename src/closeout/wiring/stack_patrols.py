"""Patrol on AWS: a server's rounds over the stack's table, for a function that a schedule starts.

Its role may list and read, store deliveries and runs, and start the worker. The worker carries out what it starts, with the
worker's role and the same guards as after a webhook. The configuration is the deployed one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from closeout.actions.registry import builtin
from closeout.adapters.boto import boto_clients
from closeout.adapters.clock import SystemClock
from closeout.checks.world import WEBHOOK
from closeout.config.load import Loaded
from closeout.config.patrol import PatrolSettings
from closeout.config.settings import Settings
from closeout.core.automation import status_contexts
from closeout.core.errors import CloseoutError, LedgerError
from closeout.core.ids import split_execution
from closeout.core.records import NewRun
from closeout.core.redact import Redactor
from closeout.core.rules import rules_of
from closeout.core.units import DAY, HOUR
from closeout.core.url import same_webhook
from closeout.intake.receiver import Receiver
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ledger.dynamodb.marks import DynamoMarks, Lease
from closeout.patrol.report import Report
from closeout.patrol.rounds import Patrol
from closeout.ports import Clock, DeliveryId
from closeout.run.deps import RunDeps
from closeout.stack.deployed import definition_digest
from closeout.stack.table import known_key
from closeout.wiring.api_intake import Accept, ApiIntake
from closeout.wiring.cleaning import Cleaning
from closeout.wiring.clients import LazyGitHub, SharedClients
from closeout.wiring.deployed import read_deployed
from closeout.wiring.orphans import OrphanRounds, stoppable
from closeout.wiring.recovery import named, take_in
from closeout.wiring.reruns import Reruns
from closeout.wiring.rounds import Rounds
from closeout.wiring.stack_drills import DrillFigures, StackDrills
from closeout.wiring.stack_ledger import LedgerResources, StackLedger
from closeout.wiring.stack_rechecker import StackRechecker

LEASE = 960.0
"""Seconds after which a patrol that was killed no longer blocks the next one: an invocation has 900."""
RESERVED = 60.0
"""Seconds at the end of an invocation in which nothing more is asked: what was read is stored and reported."""
LEFT = 120.0
"""Seconds after which patrol starts a run that was stored and not started."""
GOING = "the stack is being deleted, so nothing was started"
ALL = frozenset(("deliveries", "closings", "orphans"))


class RoundResult(NamedTuple):
    """A round that was made. `rounds` is None if the configuration could not be read, `drill` if nothing is known about one."""

    report: Report
    rounds: Rounds | None
    drill: DrillFigures | None = None


@dataclass
class StackPatrols:
    """Patrols of one stack. `accept` stores and starts, as the receiver does; `settings` are the file's in the bundle."""

    ledger: StackLedger
    clients: SharedClients
    accept: Accept
    settings: PatrolSettings
    name: str
    webhook: str
    redactor: Redactor
    clock: Clock
    pause: Callable[[float], None] = time.sleep
    drills: StackDrills | None = None

    def __post_init__(self) -> None:
        self._redact = self.redactor.text
        self._marks = DynamoMarks(self.ledger.table)
        self._remaining: Callable[[], float] = lambda: math.inf
        self._kept: tuple[str, Patrol, OrphanRounds] | None = None

    @cached_property
    def rechecker(self) -> StackRechecker:
        """Rechecks, which this function carries out too, with the deployed configuration."""
        journal = LogJournal(self.clock, self._redact)
        deps = RunDeps(
            actions=builtin(),
            clients=self.clients,
            github=LazyGitHub(self.clients),
            journal=journal,
            clock=self.clock,
            switch=self.ledger.switch,
            redact=self.redactor,
            current=lambda name: read_deployed(self.name, self.ledger).current(name),
            has_token=self.clients.has_token,
        )
        return StackRechecker(self.ledger, deps, journal.report, journal.gave_up)

    def patrol(
        self, execution: str, remaining: Callable[[], float], *, everything: bool = False
    ) -> RoundResult | None:
        """Make a round of the parts that are due; return None while another patrol runs. Raises `StoreUnavailable`.

        `execution` names the durable execution, `remaining` returns the seconds that its invocation has left.
        """
        lease = Lease(self.ledger.table, execution, uuid.uuid4().hex)
        if not lease.take(LEASE):
            return None
        self._marks.lease, self._remaining = lease.token, remaining
        try:
            return self._round(everything=everything)
        finally:
            lease.give_up()

    def _round(self, *, everything: bool) -> RoundResult:
        loaded, rounds, report = None, None, Report()
        try:
            if self.ledger.deployed.is_removed():
                report.notes.append("the stack is being deleted, so patrol starts nothing")
                return RoundResult(report, None)
            loaded = self._loaded()
            digest = _digest(loaded)
            rounds = self._rounds(loaded, digest)
            due = ALL if everything else due_parts(self.settings, rounds.last, digest, self.clock.now())
            if "orphans" not in rounds.last:  # first a day after the first start
                rounds.keep("orphans", {"ended_at": self.clock.now()})
            report = rounds.make(deliveries="deliveries" in due, closings="closings" in due, orphans=False)
            if "closings" in due:
                self._start_left(rounds, report)
            rounds.note(report, looked=bool(due - {"orphans"}))
            if "closings" in due:
                rounds.keep("config", {"digest": digest})
            if "orphans" in due:
                # Stored first: Lambda repeats an audit that it killed, and then nothing must be due for an hour.
                rounds.keep("audit", {"ended_at": self.clock.now()})
                rounds.audit(report)
        except CloseoutError as error:
            report.failed(error)
        report.errors = list(map(self._redact, report.errors))
        report.notes = list(map(self._redact, report.notes))
        if loaded is None or self.drills is None:
            return RoundResult(report, rounds)
        return RoundResult(report, rounds, self.drills.round(loaded, self._marks, self._remaining))

    def clean(self, target: str, by: str) -> str:
        """Start the run that deletes an orphan; return its execution, or why there is none."""
        try:
            going, receiver = self.ledger.deployed.is_removed(), _receiver(self._loaded())
            cleaning = self._cleaning(receiver)
            return GOING if going else self._redact(cleaning.start(target, by))
        except CloseoutError as error:
            return self._redact(error.message)

    def recover(self, guid: str) -> dict[str, str]:
        """Store a delivery that patrol left alone, without a run; return its id as `delivery`, or why not as `error`."""
        try:
            going, each = self.ledger.deployed.is_removed(), named(self._marks, self.clock.now(), guid)
            if going:
                return {"error": GOING}
            return {"delivery": str(take_in(self.clients.github, self._intake(self._loaded()), each))}
        except CloseoutError as error:
            return {"error": self._redact(error.message)}

    def _cleaning(self, receiver: Receiver) -> Cleaning:
        attempts, github = StartingAttempts(self.ledger), LazyGitHub(self.clients)
        return Cleaning(receiver, self.accept, attempts, self.ledger.views, github, self.clock.now)

    def _loaded(self) -> Loaded:
        """Return what is deployed. Raises `Unavailable` if this version cannot read it."""
        deployed = read_deployed(self.name, self.ledger)
        settings = Settings(patrol=self.settings)
        return Loaded(settings=settings, automations=tuple(deployed.automations.values()), functions={})

    def _rounds(self, loaded: Loaded, digest: str) -> Rounds:
        """Return the rounds. What they know about hooks and owners is kept while the process serves one configuration."""
        if self._kept is None or self._kept[0] != digest:
            self._kept = digest, *self._composed(loaded)
        _, patrol, orphans = self._kept
        return Rounds(
            self.settings,
            patrol,
            self._marks,
            orphans,
            now=self.clock.now,
            start=_started,
            stopped=self._stopped,
        )

    def _composed(self, loaded: Loaded) -> tuple[Patrol, OrphanRounds]:
        intake = self._intake(loaded)
        patrol = Patrol(
            stoppable(self.clients, self._stopped),
            self._marks,
            intake,
            loaded.automations,
            ours=lambda url: same_webhook(url, self.webhook),
            pause=self.pause,
        )
        cleaning = self._cleaning(intake.receiver)
        audit = partial(OrphanRounds, assumes=False, problems=self.ledger.problems)
        return patrol, audit(loaded, self.clients, self.ledger.views, self._marks, cleaning, self._redact)

    def _intake(self, loaded: Loaded) -> ApiIntake:
        automations = {one.name: one for one in loaded.automations}
        receiver, views, attempts = _receiver(loaded), self.ledger.views, StartingAttempts(self.ledger)
        reruns = Reruns(views, attempts, automations, matched=receiver.runs, start=_started)
        return ApiIntake(receiver, reruns, self._marks, self.accept, self.clock.now)

    def _stopped(self) -> bool:
        return self._remaining() < RESERVED

    def _start_left(self, rounds: Rounds, report: Report) -> None:
        """Start the runs that were stored and not started: the process died in between, or Lambda refused.

        All before a mark are known to be started. It stays a day behind, because other clocks and the index may lag.
        """
        now = self.clock.now()
        known_to = now - DAY
        since = float(rounds.last.get("starts", {}).get("known_to", 0.0))
        for execution, accepted_at in self.ledger.attempts.unstarted(since, now - LEFT):
            try:
                self.ledger.starts.start(execution)
            except CloseoutError as error:
                report.failed(error)
                known_to = min(known_to, accepted_at)
            else:
                report.notes.append(
                    f"run {split_execution(execution)[0]} was stored and not started; patrol started it"
                )
        rounds.keep("starts", {"known_to": known_to})


def due_parts(
    settings: PatrolSettings, last: Mapping[str, Mapping[str, Any]], digest: str, now: float
) -> frozenset[str]:
    """Return the parts that are due. `last` is what the last rounds stored; with another configuration the lists are due.

    The schedule is never exact: a part is due up to half an interval of the schedule early, so that it is not a whole one
    late.
    """
    now += 30.0 * (settings.minutes or 0)
    ended = {kind: float(value.get("ended_at", 0.0)) for kind, value in last.items()}
    lists = ended.get("lists", 0.0)
    due = set()
    if settings.state is not None:
        if last.get("config", {}).get("digest") != digest or now - lists >= settings.state:
            due.add("closings")
        audited = max(ended.get("orphans", now) + DAY, ended.get("audit", 0.0) + HOUR)
        if now >= audited:
            due.add("orphans")
    if settings.deliveries is not None and now - max(ended.get("logs", 0.0), lists) >= settings.deliveries:
        due.add("deliveries")
    return frozenset(due)


def _receiver(loaded: Loaded) -> Receiver:
    # Not `Receiver.of`: its decoder is not among the worker's libraries.
    return Receiver(rules_of(loaded.automations), status_contexts(loaded.automations), tuple)


class StartingAttempts:
    """`ports.Attempts` that starts each execution which it stores: a stack has no engine to notify."""

    def __init__(self, ledger: StackLedger) -> None:
        self._ledger = ledger
        self._attempts = ledger.attempts
        self._start = ledger.starts.start
        self.claim_closing = ledger.attempts.claim_closing

    def new_attempt(self, run_id: str, definition: str, requested_by: str, **how: Any) -> str:
        """Store and start the next attempt at a run. Raises `LedgerError` for a definition that was not deployed.

        The worker runs no such definition: the attempt would wait, and fail after a day.
        """
        if self._ledger.table.get(known_key(definition_digest(definition))) is None:
            raise LedgerError(f"run {run_id} gets no further attempt before the stack is deployed again")
        execution = self._attempts.new_attempt(run_id, definition, requested_by, **how)
        self._start(execution)
        return execution

    def add_runs(self, delivery: DeliveryId, runs: Sequence[NewRun], requested_by: str) -> tuple[str, ...]:
        """Store and start runs for a delivery that is stored already."""
        executions = self._attempts.add_runs(delivery, runs, requested_by)
        for execution in executions:
            self._start(execution)
        return executions


def _started(_executions: object) -> None:
    """Do nothing: the code that stores an execution here also starts it."""


def _digest(loaded: Loaded) -> str:
    text = "\n".join(one.canonical() for one in loaded.automations)
    return hashlib.sha256(text.encode()).hexdigest()


def open_stack_patrols(
    accept: Accept,
    environment: Mapping[str, str] = os.environ,
    *,
    client: Callable[[str], Any] | None = None,
    clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> StackPatrols:
    """Compose from a Lambda's environment."""
    region, clock = environment["AWS_REGION"], clock or SystemClock()
    client = client or boto_clients(region)
    redactor = Redactor()
    token = f"aws-secretsmanager:{environment['CLOSEOUT_GITHUB_SECRET']}"
    api_url = environment["CLOSEOUT_API_URL"]
    report, webhook = LogJournal(clock, redactor.text).report, environment["CLOSEOUT_WEBHOOK_URL"]
    clients = SharedClients(
        clock,
        redactor.add,
        api_url=api_url,
        token_reference=token,
        region=region,
        directory=Path(),
        secrets_client=lambda _region: client("secretsmanager"),
        report=report,
    )
    ledger = StackLedger(LedgerResources.of(environment), client, clock)
    settings = PatrolSettings(**json.loads(environment["CLOSEOUT_PATROL"]))
    drills = StackDrills(
        ledger,
        clients,
        Settings(
            patrol=settings, secrets_github=token, api_url=api_url, public_url=webhook.removesuffix(WEBHOOK)
        ),
        worker=environment["CLOSEOUT_WORKER"],
        redactor=redactor,
        now=clock.now,
        pause=pause,
        report=report,
    )
    return StackPatrols(
        ledger,
        clients,
        accept,
        settings,
        name=environment["CLOSEOUT_STACK"],
        webhook=webhook,
        redactor=redactor,
        clock=clock,
        pause=pause,
        drills=drills,
    )
