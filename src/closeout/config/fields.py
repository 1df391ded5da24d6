"""The parts of a step's name: fixed text and fields, and which of the fields identify the event's subject.

The subject of an event is the pull request (repository and number), or the ref that was deleted. For an event without
a live check closeout knows only the repository, so `unguarded: true` is required.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeAlias

from closeout import livecheck
from closeout.actions.spec import Action, Input
from closeout.config.languages import SEPARATOR
from closeout.core import names, templates
from closeout.core.automation import Step

Kind: TypeAlias = Literal["number", "ref", "other"]
"""The kind of an event's subject: a pull request, a branch (or tag), or only the repository."""

HEAD_REF = "event.pull_request.head.ref"
_VARIABLES = {
    "event.number": "number",
    "event.pull_request.number": "number",
    # Unique in all of GitHub, so it says which pull request and which repository.
    "event.pull_request.id": "pull-request-id",
    "event.repository.id": "repository-id",
    "event.pull_request.base.repo.id": "repository-id",
    "event.repository.owner.login": "owner",
    "event.repository.name": "name",
}


class Field(NamedTuple):
    """A value that is filled in: the variable that it shows ("" for none), and the texts that it can be.

    `fit`: it must have the form of names; `first`: it begins such a value. It never contains `without`.
    """

    variable: str
    language: str
    fit: bool
    first: bool
    without: str


Item: TypeAlias = "str | Field"


class Shape(NamedTuple):
    """Inputs one after the other, with `languages.SEPARATOR` after each; `prefix` if the last one is a prefix of names."""

    items: tuple[Item, ...]
    prefix: bool

    @property
    def constant(self) -> bool:
        """Whether nothing is filled in."""
        return not any(isinstance(item, Field) for item in self.items)


class StepNames(NamedTuple):
    """What a step names on one kind of event. `whole` includes the values that it passes on, under the keys `handed`."""

    kind: Kind
    names: Shape
    whole: Shape
    handed: tuple[str, ...]


class _Text(NamedTuple):
    key: str
    text: str
    spec: Input


def distinguishes(spec: Input) -> bool:
    """Return whether an input can distinguish what one event deletes from what another does.

    An optional name (a role) cannot, because the resource deleted would still be the same. A value that is
    passed on (a build's variables, a request's body) can.
    """
    if spec.names:
        return spec.required or spec.type != "string"
    return spec.templates and not spec.secret and spec.type in ("string", "list", "map", "any")


def named(step: Step, action: Action, event: str) -> StepNames | None:
    """Return what a step names on an event; None if it names nothing, or has fields that the event does not have."""
    texts = list(_texts(step, action))
    if not any(item.spec.names for item in texts):
        return None
    paths = frozenset(_paths(texts))
    if not _has(event, paths):
        return None
    kind = _kind(event, paths)
    last = [item for item in texts if item.spec.ended_by is not None]
    plain = [item for item in texts if item.spec.ended_by is None]
    return StepNames(
        kind,
        _shape([item for item in plain if item.spec.names], last, step, action, kind),
        _shape(plain, last, step, action, kind),
        tuple(item.key for item in texts if not item.spec.names),
    )


def by_branch(step: Step, action: Action) -> bool:
    """Return whether all pull requests of a branch have the same name, which contains the branch and not the number."""
    return _kind("pull_request", frozenset(_paths(_texts(step, action)))) == "ref"


def by_ref(step: Step, action: Action) -> bool:
    """Return whether this step names the same thing for a deleted branch and a deleted tag that are called alike."""
    return "event.ref" in _paths(_texts(step, action))


def _texts(step: Step, action: Action) -> Iterator[_Text]:
    for key, spec in action.inputs.items():
        if key in step.inputs and distinguishes(spec):
            for path, text in leaves(key, step.inputs[key]):
                yield _Text(path, text, spec)


def leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield each text in an input with its place, `environment.TAG`; other values as JSON."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from leaves(f"{path}.{key}", value[key])
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from leaves(f"{path}[{index}]", item)
    else:
        yield path, json.dumps(value)


def _paths(texts: Iterator[_Text] | Sequence[_Text]) -> Iterator[str]:
    for item in texts:
        for expression in templates.expressions(item.text):
            yield from (piece.path for piece in names.pieces(expression) if piece.path is not None)


def _kind(event: str, paths: frozenset[str]) -> Kind:
    about = livecheck.kind_of(event)
    if about != "pull request":
        return "ref" if about == "ref" else "other"
    numbered = any(_VARIABLES.get(path) in ("number", "pull-request-id") for path in paths)
    return "ref" if HEAD_REF in paths and not numbered else "number"


def _has(event: str, paths: frozenset[str]) -> bool:
    """Return whether the event may have all of these fields. Without one of them the step fails, so it names nothing."""
    absent = {
        "delete": ("event.number", "event.pull_request"),
        "pull_request": ("event.ref", "event.ref_type"),
    }.get(event, ())
    return not any(path == root or path.startswith(f"{root}.") for path in paths for root in absent)


def _shape(plain: Sequence[_Text], last: Sequence[_Text], step: Step, action: Action, kind: Kind) -> Shape:
    items: list[Item] = []
    for item in plain:
        items += [*_items(item, "", kind), SEPARATOR]
    for item in last:
        ending = str(item.spec.ended_by)
        delimiter = step.inputs.get(ending, action.inputs[ending].default)
        # A `/` in a value is a path, so `run.inputs` allows it.
        items += _items(item, "" if delimiter == "/" else str(delimiter), kind)
    joined: list[Item] = []
    for _, run in groupby(items, key=lambda item: isinstance(item, str)):
        alike = list(run)
        joined += ["".join(map(str, alike))] if isinstance(alike[0], str) else alike
    return Shape(tuple(joined), bool(last))


def _items(item: _Text, without: str, kind: Kind) -> Iterator[Item]:
    for part in templates.parts(item.text):
        if not part.expression:
            yield part.text.lower()
            continue
        pieces = names.pieces(part.text)
        for index, piece in enumerate(pieces):
            first = index == 0 and item.spec.names
            if piece.fixed is not None:
                yield piece.fixed.lower()
            elif piece.path == "event.repository.full_name":
                yield Field("owner", "owner", item.spec.names, first, without)
                yield "/"
                yield Field("name", "name", item.spec.names, False, without)
            else:
                variable, language = _shown(piece.path, kind, item.spec.names)
                language = "part" if language == "text" and len(pieces) > 1 else language
                yield Field(variable, language, item.spec.names, first, without)


def _shown(path: str | None, kind: Kind, fit: bool) -> tuple[str, str]:
    """Return which variable a field shows, and the language of its values."""
    variable = _VARIABLES.get(path or "", "")
    if kind == "ref" and path in ("event.ref", HEAD_REF):
        return "ref", "text" if fit else "branch"
    if variable in ("owner", "name"):
        return variable, variable
    if path is not None and names.is_number(path):
        return variable, "number"
    if path is not None and names.is_sha(path):
        return "", "sha"
    return "", "text" if fit else "anything"
