"""The reference of the HTTP side says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from closeout.server.metrics import ServerMetrics

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


def test_every_status_of_the_webhook_is_documented() -> None:
    """As a row of the table."""
    for status in (200, 202, 400, 401, 405, 408, 413, 431, 500, 503):
        assert f"| {status} |" in PAGE, status
