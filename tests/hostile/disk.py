"""Disk and locks: EIO on the log's fsync, a file that cannot grow, a second server, a ledger that is corrupted.

Deliveries are 503 while the fault lasts and at no other time, whatever command is run beside the server; no restart is
needed and nothing that was acknowledged is lost. A second server on the same ledger is refused, by whatever name it
comes. A corrupted ledger ends in exit code 4 and a sentence.

Red when sabotaged: open and close the database file beside SQLite (`ledger/sqlite/writer.py`); lock by the file's
name; let a corrupted ledger through as a defect.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from closeout.ledger.sqlite import Views
from tests.hostile.good import GoodDeliveries, Sent, note
from tests.hostile.report import Report
from tests.hostile.requests import get
from tests.hostile.server import CONFIG, Server, status_of
from tests.hostile.stage import Stage

EVERY = 0.2
"""Seconds between deliveries."""
CALM, FAULT, SETTLE, AFTER = 1.0, 2.0, 1.5, 2.5
"""Seconds before the fault, of it, until all must be well again, and for which that is watched."""
COMMANDS = (("runs", "list"), ("pause",), ("resume",))
"""Readers and writers: the last to close the ledger takes its log away, unless it sees the server's locks."""
UNAVAILABLE = 4
SENTENCE = ("ledger", "restore")


def run(stage: Stage, report: Report) -> None:
    """Play the four."""
    flag = stage.folder / "fail"
    shaken = {"HOSTILE_FAULT": str(flag)}
    sent: list[Sent] = []
    faulty = Server(
        stage.room("fsync"), CONFIG, program=("-m", "tests.hostile.faulty_disk"), variables=shaken
    )
    sent += _fault(report, faulty, "EIO on fsync", lambda _: flag.touch(), lambda _: flag.unlink())
    sent += _fault(report, Server(stage.room("full"), CONFIG), "a file that cannot grow", _fill, _free)
    note(sent, report)
    _second_servers(stage, report)
    _corrupted(stage, report)


Turn = Callable[[Server], None]


def _fault(report: Report, server: Server, name: str, begin: Turn, end: Turn) -> list[Sent]:
    """Deliver before, during and after a fault, with a command in between; return those that had to be taken."""
    with server:
        pid = server.pid
        with GoodDeliveries(server, every=EVERY) as good:
            time.sleep(CALM)
            begun = time.monotonic()
            begin(server)
            time.sleep(FAULT)
            end(server)
            ended = time.monotonic()
            time.sleep(SETTLE)
            said = [server.cli(*words, "--db", str(server.db)) for words in COMMANDS]
            time.sleep(AFTER)
        report.check(server.alive() and server.pid == pid, f"{name}: the server died of it")
    during = [one for one in good.sent if one.at + one.seconds >= begun and one.at < ended + SETTLE]
    outside = [one for one in good.sent if one not in during]
    refused = [one for one in during if one.status == 503]
    report.events.append(f"{name}: {len(refused)} of {len(good.sent)} got 503")
    report.check(bool(refused), f"{name}: the fault had no effect, so nothing was shown")
    report.check(
        all(one.status in (202, 503) for one in during), f"{name}: an answer that is neither 202 nor 503"
    )
    late = [one for one in outside if one.at > ended and one.status != 202]
    report.check(not late, f"{name}: {len(late)} deliveries were refused after the fault had ended")
    codes = [code for code, _ in said]
    report.check(codes == [0] * len(codes), f"{name}: commands beside it ended with {codes}")
    kept = {delivery.guid for delivery in Views(server.db).deliveries()}
    lost = {one.guid for one in good.taken} - kept
    report.check(not lost, f"{name}: {len(lost)} acknowledged deliveries are not in the ledger")
    return outside


def _fill(server: Server) -> None:
    """Let no file of the server grow beyond what its write-ahead log has now."""
    size = server.db.with_name(f"{server.db.name}-wal").stat().st_size
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))


def _free(server: Server) -> None:
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


def _second_servers(stage: Stage, report: Report) -> None:
    """Start another server on the ledger of one that runs, by three names."""
    with Server(stage.room("first"), CONFIG) as first:
        other = stage.room("second")
        link, hard = other / "link.db", other / "hard.db"
        link.symlink_to(first.db)
        for name, db in (("by symlink", link), ("after rm *.lock", first.db), ("by hard link", hard)):
            for lock in first.folder.glob("*.lock") if db == first.db else ():
                lock.unlink()
            if db == hard:  # not before: a ledger of two names is refused by any of them
                os.link(first.db, hard)
            arguments = ("--db", str(db), "--host", "127.0.0.1", "--port", "0")
            code, said = first.cli("serve", *arguments, seconds=6.0)
            refused = code == UNAVAILABLE and "is in use by" in said
            report.check(
                refused, f"a second server {name} is not refused (exit code {code}): {said[-200:]!r}"
            )
    report.events.append("3 second servers")


def _corrupted(stage: Stage, report: Report) -> None:
    """Spoil copies of a ledger in three ways, and look what server and command line say."""
    with Server(stage.room("sound"), CONFIG) as server, GoodDeliveries(server, every=0.05) as good:
        time.sleep(2.0)
    report.check(len(good.taken) > 10, "there is no ledger to spoil")
    for name, spoil in (("head", _spoil_head), ("cut", _spoil_cut), ("pages", _spoil_pages)):
        room = stage.room(f"spoiled-{name}")
        spoiled = Server(room, CONFIG)
        shutil.copy(server.db, spoiled.db)
        spoil(spoiled.db, stage.chance)
        listed = spoiled.cli("runs", "list", "--db", str(spoiled.db))
        _check_said(report, f"`runs list` on a corrupted ledger ({name})", *listed)
        _check_served(report, f"`serve` on a corrupted ledger ({name})", spoiled)
    report.events.append("3 corrupted ledgers")


def _check_served(report: Report, what: str, server: Server) -> None:
    """It ends with the sentence; or, if it finds out only while it serves, it is not ready and takes nothing."""
    try:
        server.start(10.0)
    except AssertionError:
        process = server.ended()
        _check_said(report, what, process, server.log().decode("utf-8", "replace"))
        return
    ready = status_of(server.exchange(get(b"/readyz")))
    report.check(ready == 503, f"{what}: it serves, and /readyz says {ready}")
    server.end()


def _check_said(report: Report, what: str, code: int | None, said: str) -> None:
    fine = code == UNAVAILABLE and any(word in said for word in SENTENCE) and "defect" not in said
    report.check(fine and "Traceback" not in said, f"{what}: exit code {code}, {said[-200:]!r}")


def _spoil_head(db: Path, chance: random.Random) -> None:
    with db.open("r+b") as file:
        file.write(chance.randbytes(100))


def _spoil_cut(db: Path, chance: random.Random) -> None:
    size = db.stat().st_size
    os.truncate(db, size // 2 + chance.randrange(100))


def _spoil_pages(db: Path, chance: random.Random) -> None:
    """Overwrite all but the first pages, which hold the schema."""
    with db.open("r+b") as file:
        file.seek(4 * 4096)
        file.write(chance.randbytes(db.stat().st_size - 4 * 4096))
