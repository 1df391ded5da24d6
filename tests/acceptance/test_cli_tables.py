"""What people read fits 80 columns, what programs read has ISO times, and a run's page is one command away."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from closeout.cli import exits
from closeout.cli.runs import short_length
from closeout.ledger.sqlite import Ledger
from closeout.ports import Ending
from tests.acceptance.cli_process import closeout, environment
from tests.acceptance.test_cli_serve import CONFIG, Serving
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

LONG = "an-automation-with-a-name-that-is-far-too-long-for-a-column-of-a-table"


class Wide(Serving):
    """A server with an automation of a long name."""

    def start(self) -> None:
        """Rename the automation and start."""
        text = CONFIG.replace("guarded:", f"{LONG}:").replace("branches: [never]", "branches: [main]")
        (self.folder / "closeout.yaml").write_text(text)
        super().start()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wide]:
    """One server with one delivery and two runs of it, which nobody changes."""
    server = Wide(tmp_path_factory.mktemp("tables"))
    for run in server.deliver("main", guid="11111111-2222-3333-4444-555555555555")["runs"]:
        server.until(run, "finished")
    yield server
    server.end()


@pytest.fixture(scope="module")
def run(serving: Wide) -> Any:
    """The run of the automation with the long name."""
    return next(one for one in serving.cli("runs", "list", "--json").json if one["automation"] == LONG)


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "list"),
        ("runs", "show", "RUN"),
        ("deliveries", "list"),
        ("deliveries", "show", "1"),
        ("actions", "list"),
    ],
    ids=" ".join,
)
def test_what_people_read_fits_80_columns(serving: Wide, run: Any, command: tuple[str, ...]) -> None:
    """No line is longer, but for a link, which stays whole so that it can be opened."""
    told = serving.cli(*(run["id"] if part == "RUN" else part for part in command))
    assert told.code == exits.OK
    assert [line for line in told.out.splitlines() if len(line) > 80 and "http" not in line] == []


def test_a_colour_takes_no_column(serving: Wide, run: Any) -> None:
    """`runs show` keeps state and duration on one line, although the state is coloured there."""
    told = serving.cli("runs", "show", run["id"]).out
    assert re.search(r"^  state     success after [\d.]+ s$", told, re.MULTILINE)


def test_runs_begin_with_their_state_and_a_short_id(serving: Wide, run: Any) -> None:
    """The state first, an id that other commands take, a name cut with an ellipsis."""
    heading, *rows = serving.cli("runs", "list").out.splitlines()
    assert heading.split() == ["STATE", "RUN", "AUTOMATION", "ABOUT", "AGE"]
    (state, short, name, *_) = next(row for row in rows if "an-automation" in row).split()
    assert (state, short) == ("success", run["id"][:8])
    assert name.endswith("…")
    assert serving.cli("runs", "show", short, "--json").json["id"] == run["id"]


def test_runs_list_names_an_automation_that_never_found_anything(tmp_path: Path) -> None:
    """After five runs, on standard error, so that a program reads only the list."""
    with Ledger(tmp_path / "closeout.db", clock=HandClock()) as ledger:
        for number in range(1, 6):
            ledger.accept_wait(delivery(f"g{number}"), [new_run(f"r{number}")])
            ledger.finish(number, Ending("success", "nothing was there: there is no stack a"), 2_000.0)
    told = closeout("runs", "list", "--db", tmp_path / "closeout.db")
    assert " ".join(told.err.split()) == (
        "preview-cleanup has found nothing to delete in any of its 5 runs: check the names that its steps make."
    )


def test_short_ids_are_as_long_as_they_must_be() -> None:
    """Two runs of a list never look alike."""
    assert short_length(["abcdefghij", "abcdefgxyz", "abcdefgxyz"]) == 8
    assert short_length(["abcdefghij", "abcdefghxy"]) == 9
    assert short_length([]) == 8


def test_times_in_json_are_iso_8601(serving: Wide, run: Any) -> None:
    """Of runs, their steps, log lines and deliveries; people see the zone."""
    shown = serving.cli("runs", "show", run["id"], "--json").json
    (delivery,) = serving.cli("deliveries", "list", "--json").json
    line = serving.cli("runs", "logs", run["id"], "--json").out.splitlines()[0]
    at = re.search(r'"at": "([^"]+)"', line)
    assert at is not None
    times = [shown["accepted_at"], shown["steps"][0]["started_at"], delivery["received_at"], at[1]]
    assert all(text.endswith("Z") and datetime.fromisoformat(text).year >= 2026 for text in times)
    zone = r"\d\d:\d\d:\d\d( UTC|[+-]\d\d:\d\d)"
    assert re.search(rf"accepted +\d{{4}}-\d\d-\d\d {zone}\n", serving.cli("runs", "show", run["id"]).out)
    assert re.match(zone, serving.cli("runs", "logs", run["id"]).out)


def test_runs_show_ends_with_the_runs_page(serving: Wide, run: Any) -> None:
    """The last line is a link that opens the page."""
    last = serving.cli("runs", "show", run["id"]).out.splitlines()[-1]
    found = re.fullmatch(r"  page      (http://\S+)", last)
    assert found is not None, last
    assert found[1].startswith(f"{serving.url}/runs/{run['id']}?attempt=1&")
    with urllib.request.urlopen(found[1], timeout=10) as page:
        assert LONG in page.read().decode()


def test_an_action_needs_no_show() -> None:
    """`closeout actions NAME` describes it; a name that nobody knows suggests a near one."""
    assert closeout("actions", "shell").out == closeout("actions", "show", "shell").out
    assert "stack-name" in closeout("actions", "aws/cloudformation-delete-stack").out
    wrong = closeout("actions", "aws/cloudformation-delete-stak")
    assert wrong.code == exits.USAGE
    assert "aws/cloudformation-delete-stack" in wrong.err


@pytest.mark.parametrize(
    "named",
    [
        "https://github.com/acme/shop/pull/17",
        "https://github.com/acme/shop/pull/17/",
        "https://github.com/acme/shop/pull/17/files",
        "https://github.com/acme/shop/pull/17#issuecomment-1",
        "acme/shop#17",
    ],
)
def test_a_pull_request_is_named_by_its_url_too(tmp_path: Path, named: str) -> None:
    """What the browser shows can be pasted; both forms are the same pull request."""
    (tmp_path / "closeout.yaml").write_text(CONFIG.replace("modules: [hooks]\n", ""))
    told = closeout("explain", "--pull-request", named, cwd=tmp_path)
    assert "does not name a pull request" not in told.err
    assert "secrets.github" in told.err


@pytest.mark.parametrize(
    "named", ["https://github.com/acme/shop/issues/17", "https://github.com/acme", "shop#17"]
)
def test_what_names_no_pull_request_is_refused(tmp_path: Path, named: str) -> None:
    """The message shows both forms."""
    told = closeout("explain", "--pull-request", named, cwd=tmp_path)
    assert told.code == exits.USAGE
    assert "acme/shop#17 or https://github.com/acme/shop/pull/17" in " ".join(told.err.split())


def test_check_wraps_its_sentences_on_a_terminal(tmp_path: Path) -> None:
    """No sentence breaks within a word; into a pipe each finding stays one line that editors read."""
    (tmp_path / "closeout.yaml").write_text(
        "version: 1\nsecrets: { webhook: [] }\nautomations: { a: { on: pusch } }\n"
    )
    reading, writing = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "closeout", "check"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    shown = re.sub(r"\x1b\[[\d;]*m", "", os.read(reading, 65_536).decode()).replace("\r\n", "\n")
    os.close(reading)
    assert shown.count("fix:") >= 2
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    piped = closeout("check", cwd=tmp_path).out
    assert " ".join(shown.split()) == " ".join(piped.split())
