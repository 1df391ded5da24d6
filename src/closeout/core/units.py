"""Durations, sizes and times, as the file and the command line write them, and as people read them.

In one place, so that `1h30m` means the same everywhere and a page and a command show the same text for it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

_DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?\Z")


def parse_duration(text: str) -> float | None:
    """Return the seconds of `90s`, `15m`, `1h30m`, `2d`; None for any other form."""
    found = _DURATION.match(text)
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return days * DAY + hours * HOUR + minutes * MINUTE + seconds


def duration_text(seconds: float) -> str:
    """Return a duration as the file writes it, in one unit."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def spoken_duration(seconds: float) -> str:
    """Return a duration for people, in two units at most: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def spoken_size(count: int) -> str:
    """Return a number of bytes for people, in decimal units: `512 B`, `23.7 KB`, `238 MB`."""
    if count < 1000:
        return f"{count} B"
    value, left = count / 1000, ["MB", "GB", "TB"]
    unit = "KB"
    while left and value >= 1000:
        value, unit = value / 1000, left.pop(0)
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return `1 run` or `3 runs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def local_time(epoch: float) -> str:
    """Return a time for people: local, to the second, with its zone."""
    return datetime.fromtimestamp(epoch).astimezone().isoformat(" ", "seconds").replace("+00:00", " UTC")


def iso(epoch: float) -> str:
    """Return a time as ISO 8601 in UTC, for a program."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
