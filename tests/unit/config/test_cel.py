"""CEL: only one module calls the library, and only true is true."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.config import cel
from closeout.core.errors import CloseoutError, ExpressionError

EVENT: dict[str, Any] = {
    "nothing": None,
    "text": "develop",
    "empty": "",
    "one": 1,
    "zero": 0,
    "half": 2.5,
    "whole": 17.0,
    "list": [1],
    "map": {"a": 1},
    "yes": True,
    "no": False,
}


@pytest.mark.parametrize(
    "expression",
    [
        "event.nothing",
        "event.text",
        "event.empty",
        "event.one",
        "event.zero",
        "event.half",
        "event.list",
        "event.map",
        "event",
        "event.missing",
        "event.missing.deeper",
        "event.nothing.deeper",
        "event.one / 0",
        "event.text > 1",
        "event.list[7]",
        "!event.missing",
        "event.missing == null",
        "event.missing || event.missing",
        "event.missing && true",
        "event.list.all(x, x / 0 == 1)",
        'event.text.matches("(")',
        "event.yes &&",
        "missing",
        "",
        "true \0",
        "'\ud800' == ''",
        "true " + "|| true " * 1_000,
    ],
)
def test_a_condition_that_is_not_a_boolean_is_an_error(expression: str) -> None:
    """null, texts, numbers, lists, maps, missing fields and errors are neither true nor false."""
    with pytest.raises(ExpressionError) as error:
        cel.condition(expression, EVENT)
    assert error.value.message.startswith("expression `")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("event.yes", True),
        ("event.no", False),
        ('event.text == "develop"', True),
        ("!has(event.missing)", True),
        ("event.missing || event.yes", True),
        ("event.missing && event.no", False),
        ("event.list.exists(x, x == 1)", True),
        ("'a' in event.map", True),
        ("event.one == 1.0", True),
    ],
)
def test_a_condition_returns_its_boolean(expression: str, value: bool) -> None:
    """A bool is returned as evaluated; `||` and `&&` absorb errors, which is CEL's own rule."""
    assert cel.condition(expression, EVENT) is value


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("preview", "preview"),
        ("preview-${{ event.one }}", "preview-1"),
        ("preview-${{ event.whole }}", "preview-17"),
        ("${{ 9223372036854774784.0 }}", "9223372036854774784"),
        ("${{event.text}}/${{ event.zero }}", "develop/0"),
        ("${{ event.empty }}", ""),
        ("${{ 3u }}", "3"),
        ("", ""),
    ],
)
def test_texts_and_whole_numbers_are_interpolated(template: str, text: str) -> None:
    """A `${{ }}` accepts strings, integers and whole doubles (JSON does not distinguish 17 from 17.0)."""
    assert cel.interpolate(template, EVENT) == text


@pytest.mark.parametrize(
    "expression",
    ["event.nothing", "event.yes", "event.half", "event.list", "event.map", "event.missing", "event", "1e30", "9223372036854775808.0", "0.0/0.0",
     'timestamp("2026-01-01T00:00:00Z")', "b'a'", "event.one / 0", '"a\\x00b"', "event.text.nothing()"],
)  # fmt: skip
def test_no_other_value_is_interpolated(expression: str) -> None:
    """null, true, fractions, lists, maps, missing fields and errors never become part of a name."""
    with pytest.raises(ExpressionError):
        cel.interpolate("preview-${{ " + expression + " }}", EVENT)


def test_the_error_names_the_expression_and_the_reason() -> None:
    """A user can find the expression in the file and see its value."""
    with pytest.raises(ExpressionError) as error:
        cel.condition("event.missing", EVENT)
    assert (
        error.value.message == 'expression `event.missing`: "missing" is missing; test it first with `has()`'
    )
    with pytest.raises(ExpressionError) as error:
        cel.condition("event.text", EVENT)
    assert error.value.message == "expression `event.text`: a condition must be true or false, got a string"
    with pytest.raises(ExpressionError) as error:
        cel.interpolate("${{ event.nothing }}", EVENT)
    assert (
        error.value.message
        == "expression `event.nothing`: a ${{ }} must be a string or a whole number, got null"
    )


def _nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "payload",
    [
        {"ref": "develop\0/evil"},
        {"develop\0": 1},
        {"ref": "\ud800"},
        {"number": 2**63},
        {"number": -(2**63) - 1},
        {"ref": b"bytes"},
        {"ref": (1, 2)},
        {"ref": {"a": [object()]}},
        _nested(200),
        _nested(20_000),
    ],
    ids=["nul", "nul-key", "surrogate", "big", "small", "bytes", "tuple", "object", "deep", "very-deep"],
)
def test_a_payload_that_the_library_cannot_hold_never_reaches_it(payload: dict[str, Any]) -> None:
    """The library cuts strings at a NUL and crashes on deep values."""
    with pytest.raises(ExpressionError):
        cel.evaluate("true", payload)
    with pytest.raises(ExpressionError):
        cel.interpolate("${{ 'a' }}", payload)


def test_the_deepest_allowed_payload_can_be_evaluated() -> None:
    """100 levels work here as well as in the receiver."""
    assert cel.condition("has(event.a.a)", _nested(100)) is True


def test_an_interpolated_value_can_be_checked_alone() -> None:
    """A guard sees each value apart from the text around it, and its error is raised."""
    seen: list[tuple[str, str]] = []

    def guard(value: str, expression: str) -> str:
        seen.append((value, expression))
        return value.upper()

    assert cel.interpolate("a-${{ event.text }}-${{event.one}}", EVENT, guard) == "a-DEVELOP-1"
    assert seen == [("develop", "event.text"), ("1", "event.one")]


@pytest.mark.parametrize(
    ("expression", "boolean", "problem"),
    [
        ("event.a", True, None),
        ("event.a", False, None),
        ("true", True, None),
        ("1", True, "a condition must be true or false, this gives an integer"),
        ("true", False, "a ${{ }} must be a string or a whole number, this gives true or false"),
        ("null", False, "a ${{ }} must be a string or a whole number, this gives null"),
        ("evnt.a", True, "undeclared reference to 'evnt.a'"),
        ("run.url", False, "undeclared reference to 'run.url'"),
        ("event.a ==", True, "Syntax error: mismatched input '<EOF>'"),
        ("  ", True, "it is empty"),
        ("a\0", True, "it contains a NUL or half a surrogate pair"),
        ("(" * 100, True, "Expression recursion limit exceeded. limit: 32"),
        ("1" * 5_000, True, "it is longer than 4,096 characters"),
    ],
)
def test_an_expression_is_checked_at_load(expression: str, boolean: bool, problem: str | None) -> None:
    """Syntax, names other than `event`, and impossible types are found without a payload."""
    assert cel.compile_check(expression, boolean=boolean) == problem


def test_many_threads_evaluate_at_once() -> None:
    """Eight threads with their own payloads each get their own values."""
    wrong: list[object] = []

    def work(thread: int) -> None:
        for number in range(200):
            value = cel.evaluate(f"event.n + {number % 7}", {"n": thread * 1_000 + number})
            if value != thread * 1_000 + number + number % 7:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(payload=st.dictionaries(st.sampled_from(["a", "b", "\0"]), _JSON, max_size=3), expression=st.sampled_from(
    ["event.a", "event.a == event.b", "event.a.b", "event.a[0]", "size(event.a) > 0", "event.a < event.b", "!event.a"]
))  # fmt: skip
def test_any_payload_yields_a_boolean_or_the_named_error(payload: dict[str, Any], expression: str) -> None:
    """Whatever a payload contains."""
    with contextlib.suppress(ExpressionError):
        assert type(cel.condition(expression, payload)) is bool


@settings(max_examples=200)
@given(
    expression=st.text(st.characters(), max_size=60) | st.text("event.a()[]{}\"'!&|+-?:1 \\\0", max_size=60)
)
def test_any_expression_yields_a_value_or_the_named_error(expression: str) -> None:
    """Whatever an expression or template contains."""
    for call in (cel.evaluate, cel.condition, cel.interpolate):
        with contextlib.suppress(CloseoutError):
            call(expression, {"a": 1})
    cel.compile_check(expression)


def test_one_module_calls_the_library_and_one_function_evaluates() -> None:
    """`cel_expr_python` is imported in `config/cel.py` alone, and `.eval(` stands there once."""
    root = Path(cel.__file__).parents[1]
    users = [path for path in root.rglob("*.py") if "cel_expr_python" in path.read_text(encoding="utf-8")]
    assert users == [Path(cel.__file__)]
    assert Path(cel.__file__).read_text(encoding="utf-8").count(".eval(") == 1
