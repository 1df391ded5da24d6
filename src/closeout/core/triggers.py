"""Match an event with an automation's triggers: the cheap, pure part of matching, for any event.

A trigger has the meaning of one event under `on:` in a GitHub Actions workflow. Every answer has a sentence
that says what to change, because "why did my rule not fire?" is the most frequent question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from closeout.core.closing import closing_of
from closeout.core.facts import Facts
from closeout.core.patterns import Kind, compile_patterns

FILTERS: Mapping[str, Kind] = {"branches": "ref", "tags": "ref", "paths": "path"}
DEFAULT_TYPES: Mapping[str, tuple[str, ...]] = {
    "pull_request": ("opened", "synchronize", "reopened"),
}
"""Types that match if none are given, as in Actions; for all other events every action then matches."""

_BASES = ("branches", "branches-ignore")

Trigger: TypeAlias = Mapping[str, Any]


class Match(NamedTuple):
    """Whether it matched, and why. `paths_pending`: a pull request's paths have yet to be read."""

    matched: bool
    reason: str
    paths_pending: bool = False


def match(
    triggers: Sequence[Trigger], repositories: Sequence[str], senders: Sequence[str], facts: Facts
) -> Match:
    """Match everything except `if` and a pull request's paths (for which it returns `paths_pending`, matched so far)."""
    refused = _not_for(repositories, senders, triggers, facts)
    if refused is not None:
        return Match(False, refused)
    return _best([_one(trigger, facts, facts.changed_paths) for trigger in _for(triggers, facts)])


def is_listed(repositories: Sequence[str], facts: Facts) -> bool:
    """Return whether `repositories` includes the event's repository."""
    if not repositories:
        return True
    return facts.repository is not None and compile_patterns(repositories, "name").matches(facts.repository)


def sender_unknown(senders: Sequence[str], facts: Facts) -> bool:
    """Return whether `senders` cannot be decided, because GitHub's API reported a closing but not who closed it.

    It matches so far, and the run reports that this is unknown: without a match a preview would be left behind unnoticed.
    """
    return bool(senders) and facts.sender is None and closing_of(facts) is not None


def is_candidate(
    triggers: Sequence[Trigger], repositories: Sequence[str], senders: Sequence[str], facts: Facts
) -> bool:
    """Return whether only `branches` keeps a closed pull request from matching, so that an earlier base might match."""
    if facts.event != "pull_request" or facts.action != "closed" or facts.base_ref is None:
        return False
    if facts.repository is None or facts.number is None:
        return False
    anywhere = [{key: value for key, value in one.items() if key not in _BASES} for one in triggers]
    return (
        match(anywhere, repositories, senders, facts).matched
        and not match(triggers, repositories, senders, facts).matched
    )


def closes_by_base(triggers: Sequence[Trigger]) -> bool:
    """Return whether a trigger compares the base of a closed pull request."""
    return any(
        one.get("event") == "pull_request"
        and "closed" in (one.get("types") or ())
        and any(one.get(key) is not None for key in _BASES)
        for one in triggers
    )


def match_paths(triggers: Sequence[Trigger], facts: Facts, paths: Sequence[str]) -> Match:
    """Match the triggers again with a pull request's changed paths."""
    if facts.own:
        return Match(False, "closeout itself caused this event")
    found = [_one(trigger, facts, tuple(paths)) for trigger in _for(triggers, facts)]
    return _best(found) if found else Match(False, _no_trigger(triggers, facts))


def _best(found: Sequence[Match]) -> Match:
    """Return the best of these: one that matches outright, else one that waits for paths."""
    for match in sorted(found, key=lambda one: one.paths_pending):
        if match.matched:
            return match
    return Match(False, "; ".join(dict.fromkeys(match.reason for match in found)))


def _for(triggers: Sequence[Trigger], facts: Facts) -> list[Trigger]:
    return [trigger for trigger in triggers if trigger.get("event") == facts.event]


def _not_for(
    repositories: Sequence[str], senders: Sequence[str], triggers: Sequence[Trigger], facts: Facts
) -> str | None:
    if facts.own:
        return "closeout itself caused this event"
    if not _for(triggers, facts):
        return _no_trigger(triggers, facts)
    if not is_listed(repositories, facts):
        if facts.repository is None:
            return "the event names no repository, and `repositories` is given"
        return f"repository {facts.repository!r} matches none of {_list(repositories)}"
    if senders and not sender_unknown(senders, facts):
        if facts.sender is None:
            return "the event names no sender, and `senders` is given"
        if not compile_patterns(senders, "name").matches(facts.sender):
            return f"sender {facts.sender!r} matches none of {_list(senders)}"
    return None


def _no_trigger(triggers: Sequence[Trigger], facts: Facts) -> str:
    events = dict.fromkeys(str(trigger.get("event")) for trigger in triggers)
    return f"event {facts.event!r} is not among its triggers ({_list(tuple(events)) or 'none'})"


def _one(trigger: Trigger, facts: Facts, paths: tuple[str, ...] | None) -> Match:
    reason = _type_reason(trigger, facts) or _ref_reason(trigger, facts)
    if reason is not None:
        return Match(False, reason)
    return _paths(trigger, facts, paths)


def _type_reason(trigger: Trigger, facts: Facts) -> str | None:
    types = trigger.get("types")
    wanted = DEFAULT_TYPES.get(facts.event) if types is None else tuple(types)
    if wanted is None or facts.action in wanted:
        return None
    default = " (the default)" if types is None else ""
    if facts.action is None:
        return f"{facts.event} has no action, and `types` asks for {_list(wanted)}{default}"
    return f"type {facts.action!r} is none of {_list(wanted)}{default}"


def _ref_reason(trigger: Trigger, facts: Facts) -> str | None:
    """Return why branch and tag filters do not match. If only one of them is given, the other kind of ref never matches."""
    on_branches, on_tags = _has(trigger, "branches"), _has(trigger, "tags")
    if not on_branches and not on_tags:
        return None
    if facts.branch is not None:
        if not on_branches:
            return f"only tags are filtered, and {facts.branch!r} is a branch"
        return _filter(trigger, "branches", facts.branch, _word(facts))
    if facts.tag is not None:
        if not on_tags:
            return f"only branches are filtered, and {facts.tag!r} is a tag"
        return _filter(trigger, "tags", facts.tag, "tag")
    filters = " and ".join(
        f"`{key}`" for key, given in (("branches", on_branches), ("tags", on_tags)) if given
    )
    return f"this {facts.event} event names no branch or tag, and {filters} is given"


def _filter(trigger: Trigger, key: str, text: str, word: str) -> str | None:
    wanted, ignored = trigger.get(key), trigger.get(f"{key}-ignore")
    kind = FILTERS[key]
    if wanted is not None and not compile_patterns(wanted, kind).matches(text):
        return f"{word} {text!r} matches none of {_list(wanted)}"
    if ignored is not None and compile_patterns(ignored, kind).matches(text):
        return f"{word} {text!r} is ignored by {_list(ignored)}"
    return None


def _paths(trigger: Trigger, facts: Facts, paths: tuple[str, ...] | None) -> Match:
    if not _has(trigger, "paths"):
        return Match(True, _matched(facts))
    if facts.event == "push" and facts.tag is not None:
        return Match(True, _matched(facts) + "; path filters do not count for tags")
    if paths is None:
        if facts.base_ref is not None and facts.number is not None:
            return Match(
                True, _matched(facts) + "; closeout has not asked for its paths yet", paths_pending=True
            )
        if facts.event == "push":
            return Match(True, _matched(facts) + "; it does not say which paths changed, so no filter counts")
        return Match(False, f"a {facts.event} event lists no changed paths, and `paths` is given")
    wanted, ignored = trigger.get("paths"), trigger.get("paths-ignore")
    if wanted is not None and not any(map(compile_patterns(wanted, "path").matches, paths)):
        return Match(False, f"none of {len(paths)} changed paths matches {_list(wanted)}")
    if ignored is not None and paths and all(map(compile_patterns(ignored, "path").matches, paths)):
        return Match(False, f"all {len(paths)} changed paths are ignored by {_list(ignored)}")
    return Match(True, _matched(facts) + f"; {len(paths)} changed paths")


def _matched(facts: Facts) -> str:
    what = facts.event if facts.action is None else f"{facts.event} {facts.action}"
    if facts.branch is not None:
        what += f", {_word(facts)} {facts.branch!r}"
    elif facts.tag is not None:
        what += f", tag {facts.tag!r}"
    return what if facts.repository is None else f"{what}, in {facts.repository}"


def _word(facts: Facts) -> str:
    return "branch" if facts.base_ref is None else "base branch"


def _has(trigger: Trigger, key: str) -> bool:
    return trigger.get(key) is not None or trigger.get(f"{key}-ignore") is not None


def _list(patterns: Sequence[str]) -> str:
    return ", ".join(map(str, patterns))
