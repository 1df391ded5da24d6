"""Compares what an account answered with what the documents say and with what the emulator answered.

Compared are the findings of each question, and which fields the answers of Lambda, its events and its dead letters have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.live.question import Question

EMULATOR = Path(__file__).with_name("emulator.json")
"""The emulator's answers, summed up; `python -m tests.live --emulator --write` writes them anew."""

Summary = dict[str, Any]


def summary(fixture: Mapping[str, Any]) -> Summary:
    """Return what two recordings of one question must have in common."""
    if "failed" in fixture:
        return {"failed": fixture["failed"]}
    fields: dict[str, set[str]] = {}
    for call in fixture["calls"]:
        if call["call"].startswith("lambda."):
            fields.setdefault(call["call"], set()).update(_fields(call["answer"]))
    for kind in ("events", "dead letters"):
        for one in fixture[kind]:
            fields.setdefault(kind, set()).update(_fields(one))
    return {
        "findings": fixture["findings"],
        "fields": {name: sorted(found) for name, found in sorted(fields.items())},
    }


def summed_up(folder: Path, questions: Iterable[Question]) -> dict[str, Summary]:
    """Return the summaries of the fixtures in a folder."""
    paths = {question.id: folder / f"{question.id}.json" for question in questions}
    return {
        name: summary(json.loads(path.read_text("utf-8"))) for name, path in paths.items() if path.exists()
    }


def emulator() -> dict[str, Summary]:
    """Return the emulator's kept answers."""
    found: dict[str, Summary] = json.loads(EMULATOR.read_text("utf-8"))
    return found


def differences(
    questions: Iterable[Question], account: Mapping[str, Summary], emulated: Mapping[str, Summary]
) -> Iterator[str]:
    """Yield a line for each thing in which the account, the emulator and the documents do not agree."""
    for question in questions:
        found = account.get(question.id)
        if found is None:
            yield f"{question.id}: not asked"
        elif "failed" in found:
            yield f"{question.id}: asking failed: {found['failed']}"
        else:
            yield from _with_documents(question, found["findings"])
            yield from _with_emulator(question.id, found, emulated.get(question.id))


def _with_documents(question: Question, findings: Mapping[str, Any]) -> Iterator[str]:
    for finding, value, document in question.expects:
        if finding in findings and findings[finding] != value:
            yield (
                f"{question.id}, {finding}: the account says {_text(findings[finding])}, the documents"
                f" {_text(value)}. Wrong, or misread: {document.says} {document.page}"
            )


def _with_emulator(name: str, found: Summary, known: Summary | None) -> Iterator[str]:
    if known is None or "failed" in known:
        yield f"{name}: the emulator has no answer to compare with"
        return
    for finding, value in found["findings"].items():
        if known["findings"].get(finding) != value:
            other = _text(known["findings"].get(finding, "nothing"))
            yield f"{name}, {finding}: the account says {_text(value)}, the emulator {other}"
    for answer in sorted({*found["fields"], *known["fields"]}):
        here, there = set(found["fields"].get(answer, ())), set(known["fields"].get(answer, ()))
        for whose, more in (("the account", here - there), ("the emulator", there - here)):
            if more:
                yield f"{name}, {answer}: only {whose} has {', '.join(sorted(more))}"


def _fields(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all fields of an answer; items of a list count as one."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _fields(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for one in value:
            yield from _fields(one, f"{path}[]")
    elif path:
        yield path


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
