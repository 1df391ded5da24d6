"""What a server says when it stops and when it starts again: what it waits for, what is left, what it takes up."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.test_cli_serve import CONFIG, Serving
from tests.until import until

SCRIPT = """\
  busy:
    on: { push: { branches: [busy] } }
    status: false
    repositories: [acme/shop]
    steps: [{ uses: shell, id: nap, destructive: false, with: { run: 'touch begun; WAIT; touch ended' } }]
"""


class Scripted(Serving):
    """A server with a script that waits."""

    def __init__(self, folder: Path, wait: str = "sleep 15") -> None:
        self.wait = wait
        super().__init__(folder)

    def start(self) -> None:
        """Start it and wait until it listens."""
        (self.folder / "closeout.yaml").write_text(CONFIG + SCRIPT.replace("WAIT", self.wait))
        super().start()

    def begin(self) -> str:
        """Start the script; return its run once it runs."""
        (run,) = self.deliver("busy")["runs"]
        until("the script's begin", (self.folder / "begun").exists)
        return str(run)


def test_a_stop_says_what_it_waits_for(tmp_path: Path) -> None:
    """At once: automation and step of what is under way, and that a second signal ends it."""
    os.mkfifo(tmp_path / "go")
    server = Scripted(tmp_path, "timeout --foreground 15 cat go")
    server.begin()
    server.process.send_signal(signal.SIGINT)
    until(
        "the line",
        lambda: "stopping; waiting up to 20 s for 1 operation (busy/nap)" in server.log(),
    )
    assert server.process.poll() is None
    (tmp_path / "go").write_text("")
    assert server.process.wait(30) == 0
    log = server.log()
    assert "A second Ctrl-C or SIGTERM ends it at once" in log
    assert log.rstrip().endswith("stopped; 1 run continues at the next start")
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_wait(tmp_path: Path, number: signal.Signals) -> None:
    """In good order and at once: what was cut off is said, and is done again."""
    server = Scripted(tmp_path)
    run = server.begin()
    server.process.send_signal(number)
    until("the line", lambda: "stopping; waiting" in server.log())
    time.sleep(0.7)  # the first one's part, the connections, is over by now
    server.process.send_signal(number)
    assert server.process.wait(30) == 0
    assert not (tmp_path / "ended").exists(), "it waited for the script"
    assert "stopped; 1 run continues at the next start; the interrupted operation runs again" in server.log()
    server.wait = "true"
    server.start()
    until("the line", lambda: "continuing 1 open run" in server.log())
    server.cli("runs", "cancel", run)
    server.process.kill()


def test_a_start_after_a_crash_says_what_it_takes_up(tmp_path: Path) -> None:
    """`kill -9` leaves no word; the next start has it."""
    server = Scripted(tmp_path)
    server.begin()
    server.process.kill()
    server.process.wait()
    server.start()
    until("the line", lambda: "continuing 1 open run" in server.log())
    server.process.kill()
    server.process.wait()


def test_with_nothing_under_way_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    """Two short lines, and none about runs."""
    server = Scripted(tmp_path)
    assert server.end() == 0
    lines = [line.partition("closeout: ")[2] for line in server.log().splitlines()]
    assert lines[-2:] == ["stopping", "stopped"]
    assert not [line for line in lines if "goes on" in line or "continuing" in line]
