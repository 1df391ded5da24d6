"""A server with a signed-in visitor, over runs that a test adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from closeout.ports.access import ACT, SESSION
from closeout.server import access
from closeout.server.access import Access
from closeout.testing.durable import FakeClock
from tests.contract.http.page_world import NOW, World
from tests.contract.http.serving import KEY, Answer, Running, serving
from tests.memory_credentials import MemoryCredentials


class SignedIn(NamedTuple):
    """A server, its world, and the secret of a session."""

    server: Running
    world: World
    credentials: MemoryCredentials
    secret: str

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page as a browser does."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        cookie = f"{access.COOKIE}={self.secret}"
        return self.server.send("GET", path, headers={"Accept": "text/html", "Cookie": cookie, **sent})

    def text(self, path: str) -> str:
        """Return the HTML of a page that is there."""
        answer = self.get(path)
        assert answer.status == 200, answer
        return answer.body.decode()


@contextmanager
def signed_in(*, right: str = ACT, base: str | None = None, **more: Any) -> Iterator[SignedIn]:
    """Serve until the block ends; the server's clock is an hour ahead of the world's runs."""
    world, clock = World(), FakeClock(NOW + 3600)
    credentials = MemoryCredentials(clock)
    known = Access(KEY, credentials, clock.now, base)
    secret = access.new_secret(KEY, SESSION)
    credentials.add(SESSION, "ada@desk", right, access.digest(secret), expires_at=NOW + 7200)
    with serving(views=world, clock=clock.now, access=known, **more) as server:
        yield SignedIn(server, world, credentials, secret)
