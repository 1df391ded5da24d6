"""Read the filter of a list from text: of a query string, a form or the command line.

All of them share one set of names and one sentence for each mistake. Empty fields are ignored, because forms send them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from closeout.core.errors import BadFilter
from closeout.core.runs import STATES, VERDICTS
from closeout.core.units import parse_duration
from closeout.ports.lists import DeliveryFilter, RunFilter

LONGEST = 200
"""Characters of a filter's value."""
_PULL_REQUEST = re.compile(r"(?:(?P<repository>[^/#\s]+/[^/#\s]+)#)?(?P<number>[1-9][0-9]{0,17})", re.ASCII)

Read = Callable[[str, str, float], dict[str, Any]]


def run_filter(given: Mapping[str, str], now: float) -> RunFilter:
    """Read a filter of runs. `now` is in seconds since the epoch. Raises `BadFilter`."""
    return RunFilter(**_fields(given, _RUNS, now))


def delivery_filter(given: Mapping[str, str], now: float) -> DeliveryFilter:
    """Read a filter of deliveries. Raises `BadFilter`."""
    return DeliveryFilter(**_fields(given, _DELIVERIES, now))


def _fields(given: Mapping[str, str], known: Mapping[str, Read], now: float) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, text in given.items():
        if name not in known:
            raise BadFilter(f"there is no filter {name[:LONGEST]!r}; there are {', '.join(known)}")
        value = text.strip()
        if len(value) > LONGEST or "\0" in value:
            raise BadFilter(f"the value of {name} is longer than {LONGEST} characters, or no text")
        for field, read in known[name](name, value, now).items() if value else ():
            if fields.setdefault(field, read) != read:
                raise BadFilter(f"{name} and another filter name two different values of {field}")
    return fields


def _text(name: str, value: str, _now: float) -> dict[str, Any]:
    return {name: value}


def _one_of(*choices: str) -> Read:
    def read(name: str, value: str, _now: float) -> dict[str, Any]:
        if value not in choices:
            raise BadFilter(f"{name} is one of {', '.join(choices)}, not {value!r}")
        return {name: value}

    return read


def _pull_request(name: str, value: str, _now: float) -> dict[str, Any]:
    found = _PULL_REQUEST.fullmatch(value)
    if found is None:
        raise BadFilter(f"{name} is a number or OWNER/REPO#N, not {value!r}")
    return {key: text for key, text in found.groupdict().items() if text} | {"number": int(found["number"])}


def _time(name: str, value: str, now: float) -> dict[str, Any]:
    """Read a time: in ISO 8601, by default in UTC, or as an age (`2d`, `1h30m`)."""
    ago = parse_duration(value)
    if ago is not None:
        return {name: now - ago}
    try:
        at = datetime.fromisoformat(value)
        return {name: (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()}
    except (ValueError, OverflowError):
        raise BadFilter(
            f"{name} is a time such as 2026-03-14, 2026-03-14T09:26:00Z or 2d (two days ago), not {value!r}"
        ) from None


def _words(name: str, value: str, _now: float) -> dict[str, Any]:
    if not RunFilter(search=value).phrases:
        raise BadFilter(f"{name} needs a letter or a digit")
    return {name: value}


_RUNS: Mapping[str, Read] = {
    "repository": _text,
    "pull-request": _pull_request,
    "automation": _text,
    "verdict": _one_of(*VERDICTS),
    "state": _one_of(*STATES),
    "since": _time,
    "until": _time,
    "search": _words,
}
_DELIVERIES: Mapping[str, Read] = {
    "repository": _text,
    "pull-request": _pull_request,
    "event": _text,
    "guid": _text,
    "since": _time,
    "until": _time,
}
RUN_FILTERS, DELIVERY_FILTERS = tuple(_RUNS), tuple(_DELIVERIES)
"""The names, in the order of a form."""
