"""One suite over the sessions and tokens of every store, and what only SQLite shows: retention and an older ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from closeout.adapters.clock import SystemClock
from closeout.core.errors import LedgerError
from closeout.core.units import DAY
from closeout.ledger import sqlite
from closeout.ledger.sqlite.sql import READ as READ_SQL
from closeout.ports import Credentials
from closeout.ports.access import ACT, READ, SESSION, TOKEN
from closeout.testing.durable import FakeClock
from tests.memory_credentials import MemoryCredentials
from tests.upgrade import write_ledger

ROWS = Path(__file__).parents[1] / "acceptance" / "ledger_of_schema_2.sql"


class Bench(NamedTuple):
    """An empty store and its clock."""

    store: Credentials
    clock: FakeClock

    def session(self, digest: str, code: str | None = None, seconds: float = 60.0) -> bool:
        """Add a session that ends after `seconds`."""
        ends = self.clock.now() + seconds
        return self.store.add(SESSION, "ada@desk", ACT, digest, expires_at=ends, code=code)

    def token(self, digest: str) -> bool:
        """Add a token that does not expire."""
        return self.store.add(TOKEN, "grafana", READ, digest, expires_at=None)


class CredentialSuite:
    """What every store does. A subclass has the fixture `bench`."""

    def test_a_credential_is_found_by_the_digest_of_its_secret(self, bench: Bench) -> None:
        """With its name, its right and its times; not by any other digest."""
        now = bench.clock.now()
        assert bench.session("d1", "c1")
        assert bench.token("d2")
        found = bench.store.find("d1")
        assert found is not None
        assert found[1:] == (SESSION, "ada@desk", ACT, now, now + 60.0, None)
        assert bench.store.find("D1") is None
        assert bench.store.find("") is None
        assert [each.name for each in bench.store.all()] == ["grafana", "ada@desk"]

    def test_a_code_makes_only_one_credential(self, bench: Bench) -> None:
        """Even after its session ended, and for another secret. None is not a code."""
        assert bench.session("d1", "c1")
        assert not bench.session("d2", "c1")
        first = bench.store.find("d1")
        assert first is not None
        assert bench.store.end(first.id)
        bench.clock.advance(DAY)
        assert not bench.session("d3", "c1")
        assert bench.session("d4")
        assert bench.session("d5")

    def test_a_token_that_is_requested_twice_exists_once(self, bench: Bench) -> None:
        """A request that a crash repeats adds nothing."""
        assert bench.token("d1")
        assert not bench.token("d1")
        assert len(bench.store.all()) == 1

    def test_a_credential_ends_at_once_and_only_once(self, bench: Bench) -> None:
        """Ending it again is reported; the first end's time stays. Other credentials stay valid."""
        bench.session("d1")
        bench.token("d2")
        found = bench.store.find("d1")
        assert found is not None
        assert found.holds(bench.clock.now())
        bench.clock.advance(5.0)
        ended_at = bench.clock.now()
        assert bench.store.end(found.id)
        bench.clock.advance(5.0)
        assert not bench.store.end(found.id)
        assert not bench.store.end(found.id + 7)
        ended = bench.store.find("d1")
        assert ended is not None
        assert ended.ended_at == ended_at
        assert not ended.holds(ended_at - 1)
        other = bench.store.find("d2")
        assert other is not None
        assert other.holds(bench.clock.now() + 1e9)

    def test_a_credential_is_valid_until_it_expires(self, bench: Bench) -> None:
        """It can still be ended afterwards: by another clock it may be valid."""
        bench.session("d1", seconds=60.0)
        found = bench.store.find("d1")
        assert found is not None
        assert found.holds(bench.clock.now() + 59.9)
        assert not found.holds(bench.clock.now() + 60.0)
        bench.clock.advance(61.0)
        assert bench.store.end(found.id)

    def test_credentials_are_deleted_a_month_after_their_end(self, bench: Bench) -> None:
        """When the next one is made; a valid one stays however old it is."""
        bench.session("expired")
        bench.token("ended")
        bench.token("holds")
        ended = bench.store.find("ended")
        assert ended is not None
        bench.store.end(ended.id)
        bench.clock.advance(29 * DAY)
        bench.token("a")
        assert bench.store.find("expired")
        assert bench.store.find("ended")
        bench.clock.advance(2 * DAY)
        bench.token("b")
        assert bench.store.find("expired") is None
        assert bench.store.find("ended") is None
        assert bench.store.find("holds")


class TestMemory(CredentialSuite):
    """In memory."""

    @pytest.fixture
    def bench(self) -> Bench:
        """An empty store."""
        clock = FakeClock()
        return Bench(MemoryCredentials(clock), clock)


class TestSqlite(CredentialSuite):
    """In a server's ledger."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The ledger's clock."""
        return FakeClock()

    @pytest.fixture
    def ledger(self, tmp_path: Path, clock: FakeClock) -> Iterator[sqlite.Ledger]:
        """An empty ledger."""
        with sqlite.Ledger(tmp_path / "ledger.db", clock=clock) as opened:
            yield opened

    @pytest.fixture
    def bench(self, ledger: sqlite.Ledger, clock: FakeClock) -> Bench:
        """Its store."""
        return Bench(ledger.credentials, clock)

    def test_prune_deletes_credentials_that_ended_a_month_ago(
        self, bench: Bench, ledger: sqlite.Ledger
    ) -> None:
        """However recent the runs are that it keeps, and no sooner."""
        bench.session("expired")
        bench.token("holds")
        bench.clock.advance(29 * DAY)
        ledger.prune(DAY)
        assert bench.store.find("expired")
        bench.clock.advance(2 * DAY)
        ledger.prune(90 * DAY)
        assert bench.store.find("expired") is None
        assert bench.store.find("holds")

    def test_a_ledger_of_the_previous_release_can_keep_credentials(self, tmp_path: Path) -> None:
        """Its key stays, so that existing Details links still open; until it is upgraded, commands say what to do."""
        path = tmp_path / "old.db"
        write_ledger(path, ROWS, 2)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("INSERT OR REPLACE INTO setting (name, value) VALUES ('details-key', x'0102')")
            connection.commit()
        with pytest.raises(LedgerError, match="start `closeout serve` once"):
            sqlite.Views(path).credentials()
        with sqlite.Ledger(path, clock=SystemClock()) as ledger:
            assert Bench(ledger.credentials, FakeClock(1e12)).session("d1", "c1")
            assert ledger.setting("details-key", lambda: b"new") == b"\x01\x02"
            views = sqlite.Views(path)
            assert [each.kind for each in views.credentials()] == [SESSION]
            views.close()

    def test_a_secret_is_looked_up_by_an_index(self, ledger: sqlite.Ledger) -> None:
        """Every request of a signed-in visitor makes this query."""
        with sqlite3.connect(ledger.path) as connection:
            [plan] = connection.execute(f"EXPLAIN QUERY PLAN {READ_SQL['credential']}", ("d",)).fetchall()
        assert "SEARCH credential USING INDEX" in plan[3]
