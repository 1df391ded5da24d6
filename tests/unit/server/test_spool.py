"""Large bodies on disk: what is left of them."""

from __future__ import annotations

from typing import IO

from closeout.core.signature import Check
from closeout.server.bodies import Limits
from closeout.server.spool import PIECE, Spool, unnamed_file
from closeout.server.upload import Upload
from tests.unit.server.wire import SECRET, play


class Sender(Upload):
    """Whoever sends a body, without a connection."""

    def __init__(self) -> None:
        """Nothing to do."""

    def pause(self) -> None:
        """Nothing to do."""

    def resume(self) -> None:
        """Nothing to do."""


def test_a_body_that_is_no_longer_needed_gives_its_disk_back() -> None:
    """At once, not when somebody looks for garbage: strangers fill the spool again and again."""
    files: list[IO[bytes]] = []

    def open_file() -> IO[bytes]:
        files.append(unnamed_file())
        return files[-1]

    async def scene() -> None:
        spool = Spool(Limits(), lambda: Check((SECRET,)), open_file)
        spooled = spool.open(Sender(), bytearray(2 * PIECE))
        spooled.feed(b"", last=True)
        await spooled.write()
        assert len(await spooled.read()) == 2 * PIECE
        assert [file.closed for file in files] == [False]
        spooled.close()
        await spool.do(lambda: None)
        assert [file.closed for file in files] == [True]
        spool.close()

    play(scene)
