"""A step's `with`, checked against the inputs that its action declares.

Everything about a value that does not depend on a payload is checked here: its type, its choices, where
`${{ }}` is allowed, and that every expression compiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from closeout.actions.spec import Action, Input
from closeout.config import cel, repairs
from closeout.config.document import Mapping, Node, Scalar, Sequence, plain
from closeout.config.findings import listed
from closeout.config.references import is_reference, read_reference
from closeout.config.values import ConfigNode
from closeout.core import templates
from closeout.core.errors import ExpressionError
from closeout.core.units import DAY

_FOREVER = 30 * DAY


def read_inputs(
    at: ConfigNode | None, step: ConfigNode, uses: str, action: Action, extra: tuple[str, ...]
) -> dict[str, Any]:
    """Read `with`; `extra` are keys that the caller reads itself. Returns the inputs with their defaults."""
    before = step.findings.count()
    section = _section(at, action, extra) if at else {}
    values: dict[str, Any] = {}
    for name, spec in action.inputs.items():
        if name in section:
            value = _value(section[name], spec)
            if not spec.secret:
                _refuse_references(section[name], spec, action)
            if value is not None:
                values[name] = value
        elif at is not None and isinstance(at.node, Mapping) and at.node.key(name):
            continue
        elif spec.required and (at is None or at.lacks(name, [*action.inputs, *extra])):
            message = f"`{uses}` needs `{name}`: {spec.description}"
            (at or step).error("missing-input", message, f"add with: {{ {name}: … }}")
        elif spec.default is not None:
            values[name] = spec.default
    if action.check is not None and step.findings.count() == before:
        for sentence in action.check(values):
            (at or step).error("bad-input", sentence, f"see `closeout actions show {uses}`")
    return values


def _section(at: ConfigNode, action: Action, extra: tuple[str, ...]) -> dict[str, ConfigNode]:
    if not isinstance(at.node, Mapping):
        at.wrong("a map", "write with: { input: value }")
        return {}
    nullable = [name for name, spec in action.inputs.items() if spec.type == "any"]
    return at.section([*action.inputs, *extra], what="input", nullable=nullable) or {}


def _value(at: ConfigNode, spec: Input) -> Any:
    if spec.secret:
        return _secret(at, spec)
    if not _templates_fit(at, spec):
        return None
    value = _typed(at, spec)
    if value is not None and spec.type in {"string", "list", "any"}:
        for place, text in texts_of(at):
            _check_text(place, text, spec)
    return value


def _secret(at: ConfigNode, spec: Input) -> Any:
    if spec.type != "map":
        return read_reference(at)
    if not isinstance(at.node, Mapping):
        at.wrong("a map", "write NAME: reference pairs, like Authorization: env:TOKEN")
        return None
    read = {str(key.value): read_reference(at.to(node, str(key.value))) for key, node in at.node.entries}
    return read if None not in read.values() else None


def _refuse_references(at: ConfigNode, spec: Input, action: Action) -> None:
    """Report each secret reference in an input that accepts none, because the text itself would be used."""
    for place, text in texts_of(at):
        kind, _, rest = text.partition(":")
        # In a value that is passed on, `file:` may mean anything, and some services write a tag as `env:prod`.
        other = kind == "file" or not rest.isupper()
        if spec.type == "string":
            # A path has no spaces and a reference no template, so these are texts, like a comment.
            other = rest.startswith("//") or bool(re.search(r"\s|\$\{\{", rest))
        if not is_reference(text) or (kind in ("file", "env") and other):
            continue
        variable = rest if kind == "env" else "NAME"
        fix = f"name the variable in pass-env: [{variable}], and use it in the script"
        if not action.passes_env:
            taking = [f"`{name}`" for name, other in action.inputs.items() if other.secret]
            first = f"{listed(taking, 'and')} accepts references; " if taking else ""
            fix = f"{first}for anything else use `shell`, with pass-env: [{variable}]"
        message = f"this input accepts no secret reference; `{kind}:…` would be used as text"
        place.error("reference-not-allowed", message, fix)
        place.findings.lost(place.node.line, place.node.column)


def _typed(at: ConfigNode, spec: Input) -> Any:
    templated = isinstance(at.node, Scalar) and templates.OPEN in at.node.text
    match spec.type:
        case "boolean":
            return at.boolean()
        case "duration":
            return at.duration(0, _FOREVER)
        case "integer":
            return at.text() if templated else at.integer(-(2**53), 2**53)
        case "list":
            texts = at.texts()
            return list(texts) if texts is not None else None
        case "map":
            return _map(at)
        case "any":
            return plain(at.node)
        case _:
            return at.text()


def _map(at: ConfigNode) -> dict[str, str] | None:
    """Read a map of texts. Numbers and truth values are kept as written, because most variables are those."""
    if not isinstance(at.node, Mapping):
        at.wrong("a map", "write NAME: value pairs")
        return None
    read: dict[str, str] = {}
    for key, node in at.node.entries:
        place = at.to(node, str(key.value))
        if isinstance(node, Scalar) and node.value is not None:
            read[str(key.value)] = node.text
        else:
            place.wrong("text", "quote it: '…'; an empty text is ''")
    return read


def _templates_fit(at: ConfigNode, spec: Input) -> bool:
    """Check every `${{ }}` below `at`: allowed here, closed, and an expression that compiles."""
    good = True
    for place, text in texts_of(at):
        if templates.OPEN not in text:
            continue
        if not spec.templates:
            place.error(
                "template-not-allowed",
                "`${{ }}` is not filled in here",
                spec.instead or "write the value itself",
            )
            good = False
        else:
            good = check_template(place, text, in_step=True) and good
    return good


def check_template(at: ConfigNode, text: str, *, in_step: bool = False) -> bool:
    """Check that every `${{ }}` of `text` is closed and compiles. Only `in_step` may it read the run so far."""
    try:
        found = templates.expressions(text)
    except ExpressionError as error:
        at.error("bad-template", error.message, "close it with }}")
        return False
    problems = [(expression, cel.compile_check(expression, in_step=in_step)) for expression in found]
    for expression, problem in problems:
        if problem:
            fix = repairs.fix(expression, problem, in_step=in_step)
            at.error("bad-expression", f"`{expression}`: {problem}", fix)
    return all(problem is None for _, problem in problems)


def _check_text(at: ConfigNode, text: str, spec: Input) -> None:
    if templates.OPEN in text:
        return
    if spec.choices and text not in spec.choices:
        at.error("bad-input", f"`{text}` is not {listed(spec.choices)}", f"write {listed(spec.choices)}")
    elif spec.pattern is not None and not re.fullmatch(spec.pattern, text):
        at.error("bad-input", f"`{text}` does not have the form {spec.pattern}", spec.description)


def texts_of(at: ConfigNode) -> Iterator[tuple[ConfigNode, str]]:
    """Yield every text below `at`, with its place."""
    node: Node = at.node
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            yield at, node.value
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from texts_of(at.to(item, index))
    else:
        for key, value in node.entries:
            yield from texts_of(at.to(value, str(key.value)))
