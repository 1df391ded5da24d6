"""Scripts that print without end: three steps of a million bytes in lines of one letter, beside good deliveries.

A good delivery each second is acknowledged within a second while they print. What is stored of them is bounded by
lines as well as by bytes, and the run's page, opened by four readers at once, is read in windows: the server stays
under 150 MB.

Red when sabotaged: bound a log by bytes alone (`actions/general/process.py`); read a whole log for a page
(`ledger/views.py`).
"""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from closeout.ledger.sqlite import Views
from closeout.server import details
from closeout.testing import deliveries
from tests.hostile.good import GoodDeliveries
from tests.hostile.memory import MOST
from tests.hostile.process import Watch
from tests.hostile.report import Report
from tests.hostile.requests import get
from tests.hostile.server import GOOD, Server, signed, status_of
from tests.hostile.stage import Stage
from tests.until import until

MOST_ROWS = 51_000
"""Lines of one run in the ledger; `ledger/lines.py` says 50,000."""
READERS = 4
STEP = "      - uses: shell\n        destructive: false\n        with: { run: 'yes a | head -c 1000000' }\n"
CONFIG = f"""\
version: 1
secrets: {{ webhook: env:CLOSEOUT_WEBHOOK_SECRET }}
automations:
  noise:
    on: {{ push: {{}} }}
    repositories: [acme/shop]
    status: false
    steps:
{STEP * 3}"""


def run(stage: Stage, report: Report) -> None:
    """Let one run print, and read its page."""
    with Server(stage.folder, CONFIG) as server, Watch(server.pid) as watch:
        with GoodDeliveries(server, every=0.5) as good:
            push = deliveries.encode(deliveries.push())
            status = status_of(server.exchange(signed(push, "noise", event="push"), GOOD))
            report.check(status == 202, f"the push that starts the noise was answered with {status}")
            ended = _ended(server)
            printed = watch.peak
            sizes = _read_page(server, ended.execution)
        good.into(report)
        report.memory = (watch.start.resident, watch.peak, watch.settled(50.0, 5.0))
        report.descriptors = (watch.start.descriptors, watch.last.descriptors)
    rows = _rows(server)
    report.check(ended.verdict == "success", f"the run ended as {ended.verdict}: {ended.summary}")
    report.check(0 < rows <= MOST_ROWS, f"{rows:,} lines of one run are stored, over {MOST_ROWS:,}")
    report.check(
        watch.peak < MOST,
        f"the peak is {watch.peak:.0f} MB, over {MOST:.0f} ({printed:.0f} before the page was read)",
    )
    report.check(bool(sizes) and all(sizes), "the run's page could not be read")
    report.events.append(f"3 steps of 500,000 lines: {rows:,} stored")
    report.events.append(f"{READERS} readers of a page of {max(sizes, default=0) / 1e6:.1f} MB")


def _ended(server: Server) -> Any:
    """Return the noisy run once it has finished."""
    views = Views(server.db)
    return until(
        "the end of the noise", lambda: next((run for run in views.runs() if run.verdict), None), 30.0
    )


def _read_page(server: Server, execution: str) -> list[int]:
    """Open the run's page from several readers at once; return how many bytes each got, 0 for anything but 200."""
    with closing(sqlite3.connect(f"file:{server.db}?mode=ro", uri=True)) as ledger:
        ((key,),) = ledger.execute("SELECT value FROM setting WHERE name = 'details-key'").fetchall()
    target = details.link("", key, execution, time.time()).encode()

    def read(_: int) -> int:
        answer = server.exchange(get(target), GOOD, 30.0)
        return len(answer) if status_of(answer) == 200 else 0

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, range(READERS)))


def _rows(server: Server) -> int:
    with closing(sqlite3.connect(f"file:{server.db}?mode=ro", uri=True)) as ledger:
        return int(ledger.execute("SELECT count(*) FROM log").fetchone()[0])
