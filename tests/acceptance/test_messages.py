"""A real `closeout serve` tells a real service of a run that failed, and survives a kill between the message and its mark.

The two minutes that a problem waits are shortened in the process; nothing else is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from closeout.testing import deliveries
from tests.acceptance.cli_process import closeout, environment
from tests.notified import service

HURRIED = """\
import sys
from closeout.core import problems
from closeout.wiring import notifying
problems.WAIT, notifying.EVERY = 0.3, 0.05
from closeout.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
public-url: https://closeout.example.com/base
notify: { to: ['env:NOTIFY'] }
automations:
  teardown:
    on: { pull_request: { types: [closed] } }
    status: false
    steps:
      - { id: stack, uses: shell, destructive: false, with: { run: 'test -e repaired || { echo no >&2; exit 3; }' } }
"""


def deliver(url: str) -> None:
    """Close pull request 17."""
    body = deliveries.encode(deliveries.pull_request())
    headers = deliveries.signed_headers("pull_request", body, "s3cret", "g-17")
    with urlopen(Request(f"{url}/webhook", body, headers)) as answer:
        assert answer.status in (200, 202)


@contextmanager
def serving(folder: Path, variables: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `closeout serve` in a hurry; yield its process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", HURRIED, "serve", "--config", "closeout.yaml", "--port", "0"],
        cwd=folder,
        env=environment(variables),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + process.stderr.read()
        yield process, found[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_failed_run_is_told_once_also_after_a_kill_and_so_is_its_repair(tmp_path: Path) -> None:
    """The service kills the server while it takes the message: the next start sends that one again, and no third."""
    (tmp_path / "closeout.yaml").write_text(CONFIG)
    with service() as told:
        variables = {"CLOSEOUT_WEBHOOK_SECRET": "s3cret", "NOTIFY": told.url(path="token-of-ours")}
        with serving(tmp_path, variables) as (process, url):
            told.before = process.kill
            deliver(url)
            told.wait(1)
            process.wait(20)
        told.before = lambda: None
        with serving(tmp_path, variables) as (_, url):
            first, second = told.wait(2)
            assert first.title == second.title == "closeout: teardown failed for acme/shop#17, step stack"
            subject, why, link, fix = first.body.splitlines()
            assert subject.startswith("acme/shop#17, a pull request by ")
            assert why == "Why: stack: no (exit code 3)"
            assert re.fullmatch(r"https://closeout\.example\.com/base/runs/\w+\?.*signature=[\w-]{43}", link)
            (tmp_path / "repaired").touch()
            run = re.search(r"closeout runs rerun (\w+)", fix)
            assert run
            assert closeout("runs", "rerun", run[1], "--yes", cwd=tmp_path, env=variables).code == 0
            *_, third = told.wait(3)
            assert third.title == "closeout: repaired: acme/shop#17"
            done = closeout("runs", "dismiss", run[1], cwd=tmp_path, env=variables)
            assert "The server says: the run has no open problem." in " ".join(done.out.split())
        assert len(told.taken) == 3
