"""`closeout demo` as a newcomer runs it: it holds, it cleans up after itself, and Ctrl-C ends it whole."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from closeout.cli import exits
from tests.acceptance.cli_process import ROOT, environment

pytestmark = pytest.mark.slow
SECONDS = 60


class Demo:
    """A demo under way, its output read as it comes, with a temporary folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.text = ""
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "closeout", "demo", *arguments],
            env=environment({"TMPDIR": str(folder)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind if the test failed half-way."""
        if self._process.poll() is None:
            self.interrupt()

    def until(self, part: str) -> None:
        """Read on until a line holds `part`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.text += line
            if part in line:
                return
        pytest.fail(f"the demo ended before it said {part!r}:\n{self.text}")

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self._process.send_signal(signal.SIGINT)
        rest, _ = self._process.communicate(timeout=30)
        self.text += rest
        return self._process.returncode

    def children(self) -> list[int]:
        """The processes that it named."""
        return [int(pid) for pid in re.findall(r"pid (\d+)", self.text)]

    def left_alive(self) -> list[int]:
        """Those of them that still exist."""
        return [pid for pid in self.children() if Path(f"/proc/{pid}/cmdline").exists() and ours(pid)]


def ours(pid: int) -> bool:
    """Whether the process is one of closeout's; the number may be another's by now."""
    try:
        return b"closeout" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def shown(text: str) -> list[str]:
    """The lines of a transcript, without what differs from one day to the next, and without the marks of a cut."""
    text = re.sub(r"(?m)^ *\d+\.\d\ds", "time", text)
    text = re.sub(r"\b[a-z2-7]{26}\b", "run-id", text)
    text = re.sub(r"\d+\.\d ms", "some ms", text)
    return [line for line in text.splitlines() if line.strip() not in ("", "…")]


def test_the_demo_holds_and_can_be_kept_open(tmp_path: Path) -> None:
    """Every check holds within a minute of CPU, on 80 columns; the run's page opens; Ctrl-C leaves nothing behind."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Demo(tmp_path, "--keep-open") as demo:
        demo.until("Ctrl-C ends the demo")
        assert "✗" not in demo.text, demo.text
        held = re.search(r"(\d+) of (\d+) checks held", demo.text)
        assert held, demo.text
        assert held[1] == held[2]
        (transcript,) = re.findall(r"(?ms)^```text\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"))
        assert [line for line in shown(transcript) if line not in shown(demo.text)] == []
        wide = [line for line in demo.text.splitlines() if len(line) > 80 and "signature=" not in line]
        assert wide == []
        demo.until("pull request #17")
        demo.until("http://")
        url = re.findall(r"http://\S+/runs/\S+", demo.text)[-1]
        with urllib.request.urlopen(url, timeout=10) as page:
            assert page.status == 200
            assert b"preview-17" in page.read()
        assert len(demo.children()) >= 3
        assert demo.interrupt() == exits.OK
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    assert demo.left_alive() == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    """Interrupted in the middle of a scene, the demo ends its processes and ends with 130."""
    with Demo(tmp_path) as demo:
        demo.until("asked CloudFormation")
        assert len(demo.children()) >= 2
        assert demo.interrupt() == exits.INTERRUPTED
    assert demo.left_alive() == []
    assert list(tmp_path.iterdir()) == []
