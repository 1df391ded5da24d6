"""A real `closeout serve` tells a real service of a run that failed, and survives a kill between the message and its mark.

The two minutes that a problem waits and the rest between two looks are shortened in the process; nothing else is.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from closeout.testing import deliveries
from tests.acceptance.cli_process import closeout, environment
from tests.acceptance.forked import Forked, closeout_prompt
from tests.notified import service
from tests.until import until

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
def serving(folder: Path, variables: dict[str, str]) -> Iterator[tuple[Forked, str]]:
    """Run `closeout serve` in a hurry; yield its process and its address."""
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = Forked(
            ["serve", "--config", "closeout.yaml", "--port", "0"],
            folder=folder, environment=environment(variables), output=output, errors=output, main=closeout_prompt,
        )  # fmt: skip

    def address() -> str | None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text("utf-8"))
        assert found or process.poll() is None, log.read_text("utf-8")
        return found[0] if found else None

    try:
        yield process, until("its address", address)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_failed_run_is_told_once_also_after_a_kill_and_so_is_its_repair(tmp_path: Path) -> None:
    """The service kills the server while it takes the message: the next start sends that one again, and no third."""
    (tmp_path / "closeout.yaml").write_text(CONFIG)
    with service() as told:
        variables = {"CLOSEOUT_WEBHOOK_SECRET": "s3cret", "NOTIFY": told.url(path="token-of-ours")}
        with serving(tmp_path, variables) as (process, url):
            told.before = process.kill
            deliver(url)
            told.wait(1)
            process.wait(30)
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
