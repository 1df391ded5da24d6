"""The ledger's file goes away under a running server: nothing is acknowledged that would not be there after a restart."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.ledger.sqlite import Views
from closeout.testing import deliveries
from tests.acceptance.test_cli_serve import SECRET, Serving, push
from tests.contract.http.serving import Answer


def removed(db: Path) -> None:
    """`rm closeout.db*`."""
    for file in db.parent.glob("closeout.db*"):
        file.unlink()


def restored(db: Path) -> None:
    """A copy is moved to the name."""
    shutil.copy(db, db.with_name("backup"))
    db.with_name("backup").rename(db)


def log_removed(db: Path) -> None:
    """What is committed and not yet copied stands in the write-ahead log alone."""
    db.with_name("closeout.db-wal").unlink()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """A server that has stored a delivery."""
    serving = Serving(tmp_path)
    try:
        assert send(serving, "g-before").status == 202
        yield serving
    finally:
        serving.end()


def send(serving: Serving, guid: str, branch: str = "elsewhere") -> Answer:
    """Deliver a push."""
    body = deliveries.encode(push(branch))
    headers = deliveries.signed_headers("push", body, SECRET["CLOSEOUT_WEBHOOK_SECRET"].encode(), guid)
    return answer(urllib.request.Request(f"{serving.url}/webhook", body, headers))


def answer(request: Any) -> Answer:
    """Return the answer to a request, whatever it is."""
    try:
        with urllib.request.urlopen(request, timeout=10) as got:
            return Answer(got.status, dict(got.headers), got.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


@pytest.mark.parametrize("lose", [removed, restored, log_removed])
def test_no_delivery_is_taken_into_a_file_that_nobody_will_find(
    server: Serving, lose: Callable[[Path], None]
) -> None:
    """503 at once and for good, `/readyz` says why; after a restart all is well, and what was refused is not there."""
    db = server.folder / "closeout.db"
    lose(db)
    for guid in ("g-1", "g-2"):
        refused = send(server, guid)
        assert (refused.status, refused.json["error"]) == (503, "store-unavailable")
    ready = answer(f"{server.url}/readyz")
    assert (ready.status, ready.json["error"]) == (503, "store-unavailable")
    assert "The ledger's file was removed or replaced" in ready.json["message"]
    assert str(server.folder) not in ready.json["message"]
    server.end()
    server.start()
    assert send(server, "g-after").status == 202
    guids = {one.guid for one in Views(db).deliveries()}
    assert guids - {"g-before"} == {"g-after"}


def test_a_file_that_comes_back_is_not_trusted(server: Serving) -> None:
    """In between others may have written to it, or it to nobody: a restart reads it anew."""
    db = server.folder / "closeout.db"
    db.rename(db.with_name("aside"))
    assert send(server, "g-1").status == 503
    db.with_name("aside").rename(db)
    assert send(server, "g-2").status == 503
