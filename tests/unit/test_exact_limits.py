"""Limits at their last allowed value and at the first that is not."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.general import outputs, process, python, shell
from closeout.actions.github import dispatch_workflow
from closeout.config import cel, document
from closeout.config.findings import Findings
from closeout.core import closed_payload, delivery, facts, ids, keys, messages, names, patterns, payload
from closeout.core.errors import (
    ActionFailed,
    BadDelivery,
    BadFilter,
    InputError,
    PatternError,
    PayloadRefused,
)
from closeout.ledger import filters
from closeout.patrol.hooks import Hook
from closeout.patrol.ignored import IGNORED, KEPT, Ignored, ignored, keep_ignored
from tests.unit.patrol.lists import MemoryMarks

MOST = 2**63 - 1
LEAST = -(2**63)


def nested(depth: int) -> bytes:
    """Return an object in which lists are nested; with it there are so many levels."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    "text",
    [b'{"a":%d}' % (MOST + 1), b'{"a":%d}' % (LEAST - 1), nested(payload.MAX_DEPTH + 1)],
)
def test_a_payload_beyond_a_limit_is_refused(text: bytes) -> None:
    """Its integers have 64 bits, and its nesting ends."""
    with pytest.raises(PayloadRefused):
        payload.decode(text)


@pytest.mark.parametrize("text", [b'{"a":%d}' % MOST, b'{"a":%d}' % LEAST, nested(payload.MAX_DEPTH)])
def test_a_payload_at_a_limit_is_read(text: bytes) -> None:
    """The last one that is allowed."""
    assert "a" in payload.decode(text)


def test_an_integer_of_twenty_digits_is_read_exactly_at_a_glance() -> None:
    """A longer one is no number that anything means, and to convert it exactly would be slow."""
    assert payload.decode_for_matching(b'{"a":12345678901234567891}') == {"a": 12345678901234567891}
    assert isinstance(payload.decode_for_matching(b'{"a":123456789012345678912}')["a"], float)


def test_a_runs_id_may_end_in_so_many_digits() -> None:
    """More are part of a name."""
    most = "9" * ids.MAX_DIGITS
    assert ids.split_execution(f"run-{most}") == ("run", int(most))
    assert ids.split_execution(f"run-{most}9") == (f"run-{most}9", None)


def test_a_pattern_may_be_so_long() -> None:
    """Behind its `!` too."""
    longest = "a" * patterns.MAX_LENGTH
    patterns.compile_patterns(["x", longest, f"!{longest}"], "name")
    with pytest.raises(PatternError, match="longer than"):
        patterns.compile_patterns([f"{longest}a"], "name")


def test_a_longer_key_becomes_its_digest() -> None:
    """In bytes, not in characters."""
    longest = "é" * (keys.MAX_LENGTH // 2)
    assert keys._bounded(longest) == longest
    assert keys._bounded(f"{longest}aa").startswith("sha256:")


def test_commits_and_moments_have_limits() -> None:
    """GitHub lists no more commits than that, so with more some paths are unknown."""
    commit = {"added": ["a"], "removed": [], "modified": []}
    assert facts._changed_paths({"commits": [commit] * facts.MAX_COMMITS}) == ("a",)
    assert facts._changed_paths({"commits": [commit] * (facts.MAX_COMMITS + 1)}) is None
    longest = "9" * facts.MAX_MOMENT
    assert facts._moment({"at": longest}, "at") == longest
    assert facts._moment({"at": f"{longest}9"}, "at") is None


def test_a_header_may_be_so_long() -> None:
    """GitHub's own are shorter."""
    longest = b"a" * delivery.MAX_LENGTH
    assert delivery._text(longest, "X-GitHub-Event") == longest.decode()
    with pytest.raises(BadDelivery, match="X-GitHub-Event"):
        delivery._text(longest + b"a", "X-GitHub-Event")


def test_a_closing_and_its_event_may_be_so_far_apart() -> None:
    """GitHub writes the two in different moments."""
    at = f"2026-01-01T00:00:{int(closed_payload.SLACK):02d}Z"
    late = f"2026-01-01T00:00:{int(closed_payload.SLACK) + 1:02d}Z"
    known: closed_payload.Closers = {17: [("2026-01-01T00:00:00Z", {"login": "ada"})]}
    assert closed_payload.closed_by(known, 17, at) == {"login": "ada"}
    assert closed_payload.closed_by(known, 17, late) is None


def test_an_expression_may_be_so_long() -> None:
    """Longer ones are not compiled."""
    most = cel.MAX_EXPRESSION
    assert cel.compile_check("'" + "a" * (most - 2) + "'") is None
    assert "is longer than" in str(cel.compile_check("'" + "a" * (most - 1) + "'"))


@pytest.mark.parametrize(
    "shared", ["[" + "x, " * 98 + "]", "{" + ", ".join(f"a{number}: x" for number in range(49)) + "}"]
)
def test_a_file_may_hold_so_many_values(shared: str) -> None:
    """Keys, lists and maps count too; an alias is a value itself, and counts as all that it stands for besides."""
    rest = document.MAX_NODES - 1 - 99
    aliases, single = divmod(rest, 100)
    for more, codes in ((0, []), (1, ["yaml-too-large"])):
        found = Findings("closeout.yaml")
        document.parse(f"[&a {shared}, {'*a, ' * aliases}{'x, ' * (single + more)}]", found)
        assert [one.code for one in found.all()] == codes


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ("{a: ", "}")])
def test_a_file_may_nest_so_deep(opens: str, closes: str) -> None:
    """Lists in lists, and maps in maps."""
    for more, codes in ((0, []), (1, ["yaml-too-large"])):
        found = Findings("closeout.yaml")
        around = document.MAX_DEPTH - 1 + more
        document.parse(opens * around + "[]" + closes * around, found)
        assert [one.code for one in found.all()] == codes


def test_an_integer_for_an_expression_has_64_bits() -> None:
    """What an earlier step gives cannot be larger."""
    assert cel._scalar_problem(MOST) is None
    assert cel._scalar_problem(LEAST) is None
    assert cel._scalar_problem(MOST + 1) is not None
    assert cel._scalar_problem(LEAST - 1) is not None


def test_an_expression_for_names_may_be_so_long() -> None:
    """Longer ones count as unknown."""
    assert len(names._tokens("a" * names._MAX_LENGTH)) == 1
    assert names._tokens("a" * (names._MAX_LENGTH + 1)) == []
    brackets = names._MAX_BRACKETS
    assert len(names._tokens("(" * brackets + "a" + ")" * brackets)) == 2 * brackets + 1
    assert names._tokens("(" * (brackets + 1) + "a" + ")" * (brackets + 1)) == []


def test_what_a_step_gives_may_be_so_long() -> None:
    """In bytes of its file, and in characters of its JSON."""
    value = "x" * (outputs.LIMIT - 2)
    assert outputs.parse(b"a=" + value.encode()) == {"a": value}
    with pytest.raises(ActionFailed, match="longer than"):
        outputs.parse(b"a=x" + value.encode())
    result = "x" * (python.RESULT_LIMIT - 2)
    assert python._json(result) == result
    with pytest.raises(InputError, match="characters of JSON"):
        python._json(f"{result}x")


def test_a_dispatch_may_have_so_many_inputs() -> None:
    """The trace is one of them."""
    most = dispatch_workflow._MAX_INPUTS
    given: dict[str, Any] = {str(number): "" for number in range(most)}
    assert dispatch_workflow._check({"inputs": given}) == []
    assert len(dispatch_workflow._check({"inputs": given, "trace-input": "trace"})) == 1
    del given["0"]
    assert dispatch_workflow._check({"inputs": given, "trace-input": "trace"}) == []


def test_a_filter_may_be_so_long() -> None:
    """Spaces around it do not count."""
    longest = "a" * filters.LONGEST
    assert filters.delivery_filter({"guid": f" {longest} "}, 0.0).guid == longest
    with pytest.raises(BadFilter, match="longer than"):
        filters.delivery_filter({"guid": f"{longest}a"}, 0.0)


def test_what_github_has_forgotten_is_not_listed() -> None:
    """To the second."""
    row: list[Any] = ["/repos/acme/shop/hooks/77", 5, "g", "push", None, "acme/shop", 1_000, True]
    assert Ignored(*row).guid == "g"
    mark = {"deliveries": [row]}
    assert len(ignored([mark], 1_000 + KEPT - 1)) == 1
    assert ignored([mark], 1_000 + KEPT) == []
    for now, kept in ((1_000 + int(KEPT) - 1, [row]), (1_000 + int(KEPT), [])):
        store = MemoryMarks()
        keep_ignored(store, Hook(77, row[0], "https://ci.example", ("*",)), [Ignored(*row)], now)
        assert store.marks(IGNORED)["77"] == {"deliveries": kept}


def test_an_hour_is_worth_saying() -> None:
    """Before that a problem is new."""
    problem: Any = type("Problem", (), {"since": 0.0})
    assert messages._lasts(problem, 3_600.0) == " (for 1 h)"
    assert messages._lasts(problem, 3_599.0) == ""


def test_a_line_of_a_script_and_the_name_of_its_first_line_may_be_so_long() -> None:
    """A longer line is two."""
    lines: list[str] = []
    output = process.Output(lines.append)
    for data in (b"a" * process.LINE_LIMIT, b"\n", b"b" * (process.LINE_LIMIT + 1), b"\n"):
        output.feed(data)
    assert [len(line) for line in lines] == [process.LINE_LIMIT, process.LINE_LIMIT, 1]
    assert shell._cut("x" * 80, 80) == "x" * 80
    assert shell._cut("x" * 81, 80) == "x" * 79 + "…"
