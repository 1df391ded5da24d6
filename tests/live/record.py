"""A recording from its first line to its last: refuse, tell the price, ask, record, remove, compare."""

from __future__ import annotations

import json
import secrets
import signal
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.live import comparison, cost, executions, removal, stacks
from tests.live.account import PREFIX, Account, Refused
from tests.live.masks import ACCOUNT, NAME, REGION, Masks, leaks
from tests.live.question import Question, Recording, Times
from tests.live.recorder import Recorder

RECORDED, FAILED, REFUSED, LEFT, INTERRUPTED = 0, 1, 2, 3, 130
AROUND = 5.0
"""Minutes for the first deployment and the last removal."""
SLOW = "polls"
LONG = ("operations", SLOW)
"""Thousands of operations: `--quick` leaves them out, and the emulator is asked with a few."""
ALL: tuple[Question, ...] = (*executions.QUESTIONS, *stacks.QUESTIONS, *stacks.LAST)
CALLS = "calls.json"
"""Every operation that was called: what the policy must allow."""
INTO = Path(__file__).parent / "recorded"
AGAIN = "make record-live PROFILE={profile} REGION={region} ARGS='--remove {name}'"

Tell = Callable[[str], None]


def in_order(questions: Iterable[Question]) -> list[Question]:
    """Return the order in which they are asked: what was begun runs beside the first; what takes things away is last."""
    return sorted(questions, key=lambda question: (question in stacks.LAST, question.begin is not None))


@dataclass(slots=True, kw_only=True)
class Options:
    """What the command line says."""

    profile: str | None
    region: str
    name: str = field(default_factory=lambda: PREFIX + secrets.token_hex(3))
    into: Path = INTO
    only: Sequence[str] = tuple(question.id for question in ALL)
    yes: bool = False
    times: Times = field(default_factory=Times)
    skip: Callable[[float], None] = lambda _seconds: None
    """Sets an emulator's clock forward."""

    @property
    def questions(self) -> list[Question]:
        """The questions that are asked."""
        return in_order(question for question in ALL if question.id in self.only)


def record(options: Options, tell: Tell, confirm: Callable[[], bool]) -> int:
    """Record; return the exit code. Whatever happens after the confirmation, everything is removed."""
    recorder = Recorder()
    account = Account(options.profile, options.region, options.name, recorder)
    tell(f"Account {account.number}, region {account.region}, as {account.who}")
    _refuse(account)
    _introduce(account, options, tell)
    if not options.yes and not confirm():
        tell("Nothing was done.")
        return REFUSED
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    code = FAILED
    try:
        with tempfile.TemporaryDirectory(prefix="closeout-recording-") as folder:
            recording = Recording(account, recorder, options.times, Path(folder), options.skip)
            _ask_all(recording, options, tell)
        code = RECORDED
    except KeyboardInterrupt:
        tell("Stopped; removing what was made. A second Ctrl-C leaves it there.")
        code = INTERRUPTED
    finally:
        recorder.question = None
        code = remove(account, options, tell) or code
    if options.into.exists():
        text = json.dumps(sorted(".".join(call) for call in recorder.used), indent=1)
        (options.into / CALLS).write_text(text + "\n", "utf-8")
    tell("What differs:")
    account_said = comparison.summed_up(options.into, options.questions)
    for line in comparison.differences(options.questions, account_said, comparison.emulator()):
        tell(f"  {line}")
    return code


def remove(account: Account, options: Options, tell: Tell) -> int:
    """Remove the recording's stacks; tell what is left, and the command that removes it. Returns 0 or `LEFT`."""
    command = AGAIN.format(profile=options.profile or "default", region=account.region, name=account.name)
    try:
        left = removal.remove(account, tell, options.times.stack)
    except BaseException:
        tell(f"The removal did not end. These stacks may be there: {', '.join(account.stacks)}")
        tell(f"Remove them with: {command}")
        raise
    for one in left:
        tell(f"LEFT: {one.stack} ({one.status}): {', '.join(one.resources) or 'no resource'}")
    if left:
        tell(f"Remove it with: {command}")
        return LEFT
    tell(
        "Every stack of the recording is gone. The CDK's own bucket keeps the bundles that were uploaded to it."
    )
    return RECORDED


def _introduce(account: Account, options: Options, tell: Tell) -> None:
    asked = options.questions
    tell(f"Deploys {', '.join(account.stacks)}, records, and removes them.")
    tell(f"Asks {len(asked)} questions: {', '.join(question.id for question in asked)}")
    if left_out := [question.id for question in ALL if question not in asked]:
        tell(f"Leaves out: {', '.join(left_out)}")
    beside = [one.minutes for one in asked if one.id == SLOW]
    minutes = AROUND + max(sum(one.minutes for one in asked if one.id != SLOW), *beside, 0)
    tell(f"Takes about {minutes:.0f} minutes.")
    tell(
        f"Costs at most {cost.ceiling(asked):.2f} US dollars, by the price list in bench/costs.py. A stack that stays"
        f" costs {cost.month():.2f} a month."
    )


def _refuse(account: Account) -> None:
    """Raise `Refused` if a stack of one of the names exists, or the account is not ready for the CDK."""
    for name in account.stacks:
        if account.stack(name) is not None:
            raise Refused(
                f"There is a stack {name} already: choose another name, or remove it with --remove."
            )
    if account.stack("CDKToolkit") is None:
        raise Refused(
            f"The account is not bootstrapped: run `cdk bootstrap aws://{account.number}/{account.region}`."
        )


def _ask_all(recording: Recording, options: Options, tell: Tell) -> None:
    tell("Deploying the functions that are asked with")
    code, text = recording.account.deploy(
        recording.folder,
        "probe",
        {
            "recording:execution": str(int(options.times.execution)),
            "recording:invocation": str(int(options.times.invocation)),
        },
    )
    if code:
        last = "\n".join(text.splitlines()[-20:])
        raise Refused(f"The functions were not deployed:\n{last}")
    options.into.mkdir(parents=True, exist_ok=True)
    for question in options.questions:  # what an earlier recording said is no answer to this one
        (options.into / f"{question.id}.json").unlink(missing_ok=True)
    begun = [question for question in options.questions if question.begin is not None]
    for question in begun:
        with _Part(recording, question, options, tell) as part:
            assert question.begin is not None
            question.begin(recording)
            part.begun = True
    for question in options.questions:
        if question.begin is not None and question.id not in recording.begun:
            continue
        tell(f"{question.id}: {question.asks}")
        with _Part(recording, question, options, tell) as part:
            part.findings = question.ask(recording)
            tell(f"  {json.dumps(part.findings)}")


class _Part:
    """A question while it is asked: its calls are kept for it, and its failure is no other question's."""

    def __init__(self, recording: Recording, question: Question, options: Options, tell: Tell) -> None:
        self.findings: dict[str, Any] | None = None
        self.begun = False
        self._recording = recording
        self._question = question
        self._options = options
        self._tell = tell

    def __enter__(self) -> Self:
        self._recording.recorder.question = self._question.id
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        self._recording.recorder.question = None
        if kind is not None and not issubclass(kind, Exception):
            return False
        if error is not None:
            self._tell(f"  {self._question.id} failed: {error}")
        if error is not None or not self.begun:
            write(self._recording, self._question, self._options.into, self.findings, error)
        return True


def write(
    recording: Recording,
    question: Question,
    into: Path,
    findings: dict[str, Any] | None,
    error: BaseException | None,
) -> None:
    """Write a question's fixture, masked. Raises `Refused` if it still holds what a stranger must not see."""
    account = recording.account
    masks = Masks(
        {
            account.who: f"arn:aws:iam::{ACCOUNT}:user/recorder",
            account.number: ACCOUNT,
            account.name: NAME,
            account.region: REGION,
            **recording.known,
        }
    )
    events, letters = recording.about(question)
    fixture = {
        "question": question.asks,
        "documents": [
            {"finding": one.finding, "expected": one.value, **one.document._asdict()}
            for one in question.expects
        ],
        **({"failed": masks.text(str(error))} if error is not None else {"findings": findings}),
        "events": masks.mask(events),
        "dead letters": masks.mask(letters),
        "calls": _once(masks.mask(recording.recorder.of(question.id))),
    }
    text = json.dumps(fixture, indent=1) + "\n"
    hidden = {account.name: "the recording's name", account.who: "who recorded"}
    if account.number != ACCOUNT:
        hidden[account.number] = "the account's number"
    found = leaks(text, hidden)
    if found:
        raise Refused(f"{question.id} was not written: it holds {' and '.join(found)}.")
    (into / f"{question.id}.json").write_text(text, "utf-8")


def _once(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the first of equal calls: how often a status is read says nothing."""
    kept: list[dict[str, Any]] = []
    for call in calls:
        if call not in kept:
            kept.append(call)
    return kept


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
