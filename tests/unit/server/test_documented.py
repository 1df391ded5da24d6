"""The reference of the HTTP side says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from closeout.server.bodies import Limits
from closeout.server.exchange import FORM_BYTES
from closeout.server.head import CHUNK_OVERHEAD, HEAD_BYTES, HEADER_FIELDS
from closeout.server.metrics import ServerMetrics
from closeout.server.serve import MOST_FILES, RESERVED_FILES
from closeout.server.shared import Timers
from closeout.server.spool import SPARE_DISK

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "http.md").read_text("utf-8")


def test_every_metric_is_documented() -> None:
    """A figure that nobody explains is no use in an alert."""
    stats = {
        "runs_by_verdict": {},
        "runs_by_state": {},
        "suspects": 0,
        "queue_age": 0.0,
        "empty_runs": {},
        "step_durations": {},
    }
    names = re.findall(r"# TYPE (\S+)", ServerMetrics().render("1", stats, 0).decode())
    assert len(names) == 13
    assert [name for name in names if f"`{name}" not in PAGE] == []


def test_every_code_that_the_server_makes_up_is_documented() -> None:
    """Codes of `core.errors` have their own page; the few of the HTTP layer stand here."""
    sources = [path.read_text("utf-8") for path in (ROOT / "src/closeout/server").glob("*.py")]
    codes = {code for text in sources for code in re.findall(r'"error": "([a-z-]+)"', text)}
    codes |= {
        code for text in sources for code in re.findall(r'(?:refuse|_error)\((?:\d+, )?"([a-z-]+)"', text)
    }
    assert codes >= {"not-found", "forbidden", "draining", "bad-request"}
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE] == []


def size(limit: int) -> str:
    """Return a limit as a person writes it, in its largest whole unit."""
    unit, name = max(
        (unit, name) for unit, name in ((1, "B"), (2**10, "KB"), (2**20, "MB")) if limit % unit == 0
    )
    return f"{limit // unit} {name}"


LIMITS, TIMERS = Limits(), Timers()


@pytest.mark.parametrize(
    "written",
    [
        f"a Content-Length of at most {size(FORM_BYTES)} |",
        f"a head over {size(HEAD_BYTES)}, or with more than {HEADER_FIELDS} fields",
        f"over {size(LIMITS.body_bytes)}, which GitHub does not send",
        f"closeout drops the oldest unfinished one | {size(LIMITS.memory_bytes)} |",
        f"the spool of bodies over {size(LIMITS.small_bytes)} is full",
        f"the oldest unverified one | {size(LIMITS.spool_bytes)}, {LIMITS.spool_files} bodies |",
        f"only senders with the secret can cause this | {size(LIMITS.held_bytes)} |",
        f"leaves {size(SPARE_DISK)} of that disk free",
        f"A chunked body with over {size(CHUNK_OVERHEAD)} more of chunk",
        f"| the next request, after an answer | {TIMERS.idle:g} | closed |",
        f"| the rest of a head; the first byte of a new connection | {TIMERS.head:g} | 408, closed |",
        f"| the rest of a body | {LIMITS.read_seconds:g} | 408, closed |",
        f"| closeout's answer | {TIMERS.answer:g} | reset |",
        f"| the peer to read an answer | {TIMERS.write:g} | reset |",
        f"at most {MOST_FILES:,} files and\nreserves {RESERVED_FILES}.",
    ],
)
def test_every_limit_is_documented_with_its_value(written: str) -> None:
    """An operator plans memory, disk and timeouts of a proxy by them."""
    assert written in PAGE


def test_every_status_of_the_webhook_is_documented() -> None:
    """As a row of the table."""
    for status in (200, 202, 400, 401, 405, 408, 413, 431, 500, 503):
        assert f"| {status} |" in PAGE, status
