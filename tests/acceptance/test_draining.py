"""What a server says when it stops and when it starts again: what it waits for, what is left, what it takes up."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.cli_process import environment
from tests.acceptance.test_cli_serve import CONFIG, SECRET, Serving
from tests.until import until

SCRIPT = """\
  busy:
    on: { push: { branches: [busy] } }
    status: false
    repositories: [acme/shop]
    steps: [{ uses: shell, id: nap, destructive: false, with: { run: 'touch begun; sleep SECONDS; touch ended' } }]
"""


class Told(Serving):
    """A server with a script, whose log is a file."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.log = folder / "log"
        self.script = SCRIPT.replace("SECONDS", str(seconds))
        super().__init__(folder)

    def start(self) -> None:
        """Start it and wait until it listens; its log begins anew."""
        (self.folder / "closeout.yaml").write_text(CONFIG + self.script)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "closeout", "serve", "--config", "closeout.yaml", "--port", "0"],
                cwd=self.folder, env=environment(SECRET), stderr=output, text=True,
            )  # fmt: skip
        self.url = until("its address", self._address)

    def _address(self) -> str:
        return self.log.read_text().partition("listens on ")[2].partition("\n")[0].strip()

    def begin(self) -> str:
        """Start the script; return its run once it runs."""
        (run,) = self.deliver("busy")["runs"]
        until("the script's begin", (self.folder / "begun").exists)
        return str(run)


def test_a_stop_says_what_it_waits_for(tmp_path: Path) -> None:
    """At once: automation and step of what is under way, and that a second signal ends it."""
    server = Told(tmp_path, 2)
    server.begin()
    server.process.send_signal(signal.SIGINT)
    until(
        "the line",
        lambda: "stopping; waiting up to 20 s for 1 operation (busy/nap)" in server.log.read_text(),
    )
    assert server.process.poll() is None
    assert server.process.wait(20) == 0
    log = server.log.read_text()
    assert "A second Ctrl-C or SIGTERM ends it at once" in log
    assert log.rstrip().endswith("stopped; 1 run goes on at the next start")
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_wait(tmp_path: Path, number: signal.Signals) -> None:
    """In good order and at once: what was cut off is said, and is done again."""
    server = Told(tmp_path, 15)
    run = server.begin()
    began = time.monotonic()
    server.process.send_signal(number)
    until("the line", lambda: "stopping; waiting" in server.log.read_text())
    time.sleep(0.7)  # the first one's part, the connections, is over by now
    server.process.send_signal(number)
    assert server.process.wait(10) == 0
    assert time.monotonic() - began < 8
    assert (
        "stopped; 1 run goes on at the next start; the interrupted operation runs again"
        in server.log.read_text()
    )
    server.script = SCRIPT.replace("SECONDS", "0")
    server.start()
    until("the line", lambda: "continuing 1 open run" in server.log.read_text())
    server.cli("runs", "cancel", run)
    server.process.kill()


def test_a_start_after_a_crash_says_what_it_takes_up(tmp_path: Path) -> None:
    """`kill -9` leaves no word; the next start has it."""
    server = Told(tmp_path, 15)
    server.begin()
    server.process.kill()
    server.process.wait()
    server.start()
    until("the line", lambda: "continuing 1 open run" in server.log.read_text())
    server.process.kill()
    server.process.wait()


def test_with_nothing_under_way_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    """Two short lines, and none about runs."""
    server = Told(tmp_path, 0)
    assert server.end() == 0
    lines = [line.partition("closeout: ")[2] for line in server.log.read_text().splitlines()]
    assert lines[-2:] == ["stopping", "stopped"]
    assert not [line for line in lines if "goes on" in line or "continuing" in line]
