"""Mixed hostile requests from sixteen threads, beside a good delivery each second.

Every answer is a documented one of that kind of request, nothing that is not signed is stored, no second request is
smuggled in, no good delivery waits, and the log holds lines of closeout's own and not one control character.

Red when sabotaged: let `server/log.py` write details as they come (log injection); drop the check of a head's size
(431); let `intake/headers.py` take a request with two signatures; answer 500 to anything.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter

from closeout.ledger.sqlite import Views
from tests.hostile.good import GoodDeliveries
from tests.hostile.process import Watch, sample
from tests.hostile.report import Report
from tests.hostile.requests import DOCUMENTED, FORGED, INJECTION, LATE, NEVER, Hostile, make
from tests.hostile.server import CONFIG, Server, status_of
from tests.hostile.stage import Stage

SECONDS = 12.0
ATTACKERS = 16
OUR_LINE = re.compile(
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC|[+-]\d\d:\d\d) closeout: |closeout listens on http://)"
)
RAW_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""C0 without the newline, DEL, C1, and what turns the direction or begins a line in some terminals."""
LEFT_OPEN = 40
"""Descriptors more than before that a server at rest may hold: threads made under load keep a reader of the ledger
each. A connection that leaks at each of thousands of requests is far over it."""
CLOSING = b"\r\nConnection: close\r\n"
FIRST, MORE = 5.0, 0.3
"""Seconds for the first byte of an answer, and for anything after it from a server that does not close."""


class _Seen:
    """What the attackers saw, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kinds: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def note(self, hostile: Hostile, answer: bytes, closed: bool) -> None:
        status = status_of(answer)
        wrong = []
        if status not in hostile.allowed:
            wrong.append(
                f"{hostile.kind}: {status} instead of {sorted(hostile.allowed)} for {hostile.raw[:60]!r}"
            )
        if status and status not in DOCUMENTED:
            wrong.append(f"{hostile.kind}: {status} is not documented")
        if NEVER in answer or answer.count(b"HTTP/1.1 ") > hostile.answers:
            wrong.append(f"{hostile.kind}: a request inside was answered, for {hostile.raw[:90]!r}")
        if not closed:
            wrong.append(
                f"{hostile.kind}: open {FIRST:g} s after `Connection: close`, for {hostile.raw[:60]!r}"
            )
        with self.lock:
            self.kinds[hostile.kind] += 1
            self.wrong.update(wrong)


def run(stage: Stage, report: Report) -> None:
    """Attack for some seconds."""
    with Server(stage.folder, CONFIG) as server:
        server.exchange(INJECTION)  # first: of lines of a kind that strangers cause few are written later
        before = sample(server.pid)
        assert before is not None
        with Watch(server.pid) as watch:
            seen = _attack(stage, server, report)
            after = watch.settled(20.0, 10.0)
        rest = sample(server.pid)
        report.memory = (watch.start.resident, watch.peak, after)
        report.descriptors = (before.descriptors, rest.descriptors if rest else 0)
        report.check(rest is not None, "the server died")
        report.check(
            report.descriptors[1] <= before.descriptors + LEFT_OPEN,
            f"{report.descriptors[1] - before.descriptors} descriptors more are open than before",
        )
    report.events = [f"{sum(seen.kinds.values()):,} requests of {len(seen.kinds)} kinds"]
    for text, count in seen.wrong.most_common():
        report.check(False, f"{text} ({count} times)")
    _check_stored(server, report)
    check_log(server.log(), report)


def _attack(stage: Stage, server: Server, report: Report) -> _Seen:
    seen = _Seen()
    end = time.monotonic() + stage.seconds(SECONDS)

    def attacker(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < end:
            hostile = make(chance)
            seen.note(hostile, *_exchange(server, hostile.raw))

    threads = [
        threading.Thread(target=attacker, args=(stage.chance.randrange(2**32),), daemon=True)
        for _ in range(ATTACKERS)
    ]
    with GoodDeliveries(server) as good:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(stage.seconds(SECONDS) + 15)
    good.into(report)
    return seen


def _exchange(server: Server, raw: bytes) -> tuple[bytes, bool]:
    """Send a request; return what comes, and whether the server closed the connection as it was asked to.

    After an answer to who did not ask for that, a silent server is left.
    """
    received, asked = b"", CLOSING in raw
    try:
        with server.connect(seconds=FIRST) as connection:
            connection.sendall(raw)
            while part := connection.recv(65536):
                received += part
                connection.settimeout(FIRST if asked else MORE)
    except TimeoutError:
        return received, not asked
    except OSError:
        pass
    return received, True


def _check_stored(server: Server, report: Report) -> None:
    """What is in the ledger are the good deliveries, and nothing else."""
    guids = {delivery.guid for delivery in Views(server.db).deliveries(limit=100_000)}
    strange = sorted(guid for guid in guids if not guid.startswith(("good-", LATE)))
    report.check(not strange, f"{len(strange)} hostile requests are stored as deliveries: {strange[:3]}")
    report.check(
        len(guids) >= report.good_in, f"of {report.good_in} acknowledged deliveries {len(guids)} are stored"
    )


def check_log(log: bytes, report: Report) -> None:
    """Check that a server's log holds lines of ours alone, without a control character."""
    text = log.decode("utf-8", "replace")
    control = RAW_CONTROL.search(text)
    shown = repr(text[max(0, control.start() - 40) : control.end() + 20]) if control else ""
    report.check(control is None, f"the log holds a raw control character: {shown}")
    forged = [line for line in text.splitlines() if line.startswith(FORGED)]
    report.check(not forged, f"the log holds {len(forged)} forged lines: {forged[:1]}")
    lines = log.rstrip(b"\n").split(b"\n")
    strange = [line for line in lines if not OUR_LINE.match(line)]
    report.check(
        not strange, f"{len(strange)} of {len(lines)} lines of the log are not of our form: {strange[:1]}"
    )
