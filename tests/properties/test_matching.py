"""Laws of patterns, triggers, facts and keys, held against a second, slower way to say the same."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from closeout.core.commit import StatusTarget, status_target, why_no_target
from closeout.core.errors import CloseoutError, PatternError
from closeout.core.facts import Facts, facts_of
from closeout.core.keys import check_template, concurrency_key, lookup_of
from closeout.core.patterns import compile_patterns
from closeout.core.triggers import match, match_paths
from tests.unit.config.trigger_faults import faults

pieces = st.sampled_from(
    ["*", "**", "**/", "/", "a", "b", "ab", "a?", "b+", "[ab]", "[a-c]+", ".", "\\*", "é"]
)
patterns = st.lists(pieces, min_size=1, max_size=7).map("".join)
texts = st.text("ab/c.*é", max_size=12)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
events = st.sampled_from(
    [
        "pull_request",
        "pull_request_review",
        "push",
        "create",
        "delete",
        "issue_comment",
        "release",
        "workflow_run",
        "check_run",
        "check_suite",
        "deployment_status",
        "merge_group",
        "status",
        "ping",
        "invented",
    ]
)
KEYS = [
    "action",
    "number",
    "pull_request",
    "head",
    "base",
    "ref",
    "ref_type",
    "repo",
    "id",
    "full_name",
    "private",
    "repository",
    "sender",
    "login",
    "commits",
    "added",
    "modified",
    "removed",
    "issue",
    "release",
    "tag_name",
    "deployment",
    "sha",
    "workflow_run",
    "head_branch",
    "check_run",
    "check_suite",
    "context",
    "comment",
    "body",
    "after",
    "merge_group",
    "base_ref",
    "head_sha",
]
payloads: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(KEYS),
    st.recursive(
        json_values | st.sampled_from(["refs/heads/main", "refs/tags/v1", "branch", "tag", "a" * 40]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=10,
    ),
    max_size=8,
)


def regex_of(pattern: str) -> str:
    """The pattern as a regular expression: the obvious translation, which may backtrack."""
    out, place = "", 0
    while place < len(pattern):
        stars = re.match(r"\*+", pattern[place:])
        if stars:
            length = stars.end()
            start = place == 0 or pattern[place - 1] == "/"
            if length == 1:
                out += "[^/]*"
            elif (
                start
                and pattern[place + length : place + length + 1] == "/"
                and pattern[place + length + 1 : place + length + 2] not in ("?", "+")
            ):
                out += "(?:.*/)?"
                length += 1
            else:
                out += ".*"
            place += length
        elif pattern[place] == "[":
            end = pattern.index("]", place)
            out += pattern[place : end + 1]
            place = end + 1
        elif pattern[place] == "\\":
            out += re.escape(pattern[place + 1])
            place += 2
        else:
            out += pattern[place] if pattern[place] in "?+" else re.escape(pattern[place])
            place += 1
    return out


@given(patterns, texts)
def test_patterns_match_what_the_regular_expression_matches(pattern: str, text: str) -> None:
    """Two ways to say the same give the same answer."""
    try:
        compiled = compile_patterns([pattern], "path")
    except PatternError:
        return
    assert compiled.matches(text) == (re.fullmatch(regex_of(pattern), text, re.DOTALL) is not None)


@given(st.lists(st.tuples(st.booleans(), patterns), min_size=1, max_size=4), texts)
def test_the_last_pattern_that_matches_decides(rules: list[tuple[bool, str]], text: str) -> None:
    """A list is a sequence of yes and no, and starts with no."""
    try:
        compiled = compile_patterns([("" if yes else "!") + pattern for yes, pattern in rules])
    except PatternError:
        return
    expected = False
    for yes, pattern in rules:
        if compile_patterns([pattern]).matches(text):
            expected = yes
    assert compiled.matches(text) is expected


@given(
    st.lists(st.text(max_size=12), max_size=3), st.text(max_size=20), st.sampled_from(["ref", "path", "name"])
)
def test_any_pattern_compiles_or_is_a_pattern_error(sources: list[str], text: str, kind: Any) -> None:
    """And once compiled it takes any text."""
    try:
        compiled = compile_patterns(sources, kind)
    except PatternError:
        return
    assert compiled.matches(text) in (True, False)


@given(st.text(min_size=1, max_size=20))
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    """Every character can be taken as it is."""
    compiled = compile_patterns(["".join("\\" + char for char in text)])
    assert compiled.matches(text)
    assert not compiled.matches(text + "x")
    assert not compiled.matches("x" + text)


filters = st.none() | st.lists(st.text("ab*/!+[v", max_size=4), max_size=2)
triggers = st.fixed_dictionaries(
    {"event": events},
    optional={
        "types": st.none() | st.lists(st.sampled_from(["closed", "opened", "x"]), max_size=2),
        **dict.fromkeys(
            ("branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"), filters
        ),
    },
)


@given(events, payloads, st.lists(triggers, max_size=3))
def test_any_payload_matches_or_not_with_a_sentence(
    event: str, payload: dict[str, Any], rules: list[dict[str, Any]]
) -> None:
    """No payload makes matching fail, once the loader has found no fault in the triggers."""
    rules = [rule for rule in rules if not faults(rule)]
    facts = facts_of(event, payload)
    assert isinstance(facts, Facts)
    answer = match(rules, [], [], facts)
    assert answer.reason
    assert not answer.paths_pending or answer.matched
    known = match_paths(rules, facts, ["a"])
    assert known.reason
    assert not known.paths_pending
    if not answer.matched:
        # A push brings its own paths, so only for other events can paths add nothing to a refusal.
        assert event == "push" or not known.matched


@given(events, payloads)
def test_any_payload_has_a_commit_or_a_reason(event: str, payload: dict[str, Any]) -> None:
    """A target is well formed; without one there is a sentence."""
    target = status_target(event, payload)
    if target is None:
        assert why_no_target(event, payload)
    else:
        assert isinstance(target, StatusTarget)
        assert re.fullmatch(r"[0-9a-f]{40,64}", target.sha)
        assert target.repository.count("/") == 1


@given(
    events,
    payloads,
    st.none() | st.text(max_size=20) | st.sampled_from(["${{ event.number }}", "x-${{ event.a.b }}"]),
)
def test_any_payload_has_a_key_of_bounded_length(
    event: str, payload: dict[str, Any], template: str | None
) -> None:
    """The same payload gives the same key, within its automation."""
    if template is not None and check_template(template):
        return
    facts = facts_of(event, payload)
    key = concurrency_key("auto", template, facts, lookup_of(payload))
    assert key == concurrency_key("auto", template, facts, lookup_of(payload))
    if key is not None:
        assert len(key) <= 512
        assert key.startswith(("auto|", "sha256:"))
    else:
        assert template is None
        assert not event.startswith("pull_request")


@given(
    st.dictionaries(
        st.sampled_from(["event", "types", "branches", "tags", "paths", "paths-ignore"]),
        st.none() | st.lists(st.text(max_size=6), max_size=3),
    )
)
def test_any_trigger_is_checked_without_an_error(trigger: dict[str, Any]) -> None:
    """The loader gets findings, never an exception."""
    try:
        found = faults({**trigger, "event": str(trigger.get("event"))})
    except CloseoutError as error:
        raise AssertionError(error) from error
    assert all(sentence for _, sentence in found)
