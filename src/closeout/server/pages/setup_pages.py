"""The routes of `/automations`, `/orphans` and `/health`: they read the ledger, the configuration and the disk.

`setup_page` says what that means. Nothing here asks GitHub or AWS: patrol and the drill have, and the ledger keeps their answers.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

import closeout
from closeout.actions.registry import builtin
from closeout.config.inverses import inventories
from closeout.patrol.marks import DRILL, LAST, REPORT
from closeout.ports import EVERY_DELIVERY, RunFilter
from closeout.ports.access import READ
from closeout.server.pages import setup_page
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.setup_page import HealthFact
from closeout.server.pages.site import Asked, Route
from closeout.server.parts import ServerParts

MOST_AUTOMATIONS = 200
"""Automations whose last run is read; a file may have hundreds."""
LOW_DISK = 1 << 30


class SetupPages:
    """See the module."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self._automations = parts.loaded.automations if parts.loaded is not None else ()
        self._inventories = inventories(self._automations, builtin())

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return (
            Route("GET", "/automations", READ, self._show_automations),
            Route("GET", "/orphans", READ, self._show_orphans),
            Route("GET", "/health", READ, self._show_health),
        )

    async def _show_automations(self, asked: Asked) -> Response:
        values = await asyncio.to_thread(self._read_automations)
        return self._page(asked, "automations", values)

    async def _show_orphans(self, asked: Asked) -> Response:
        values = await asyncio.to_thread(self._read_orphans)
        return self._page(asked, "orphans", values)

    async def _show_health(self, asked: Asked) -> Response:
        values = await asyncio.to_thread(self._read_health)
        return self._page(asked, "health", values)

    def _page(self, asked: Asked, name: str, values: Mapping[str, Any]) -> Response:
        assert asked.visitor is not None
        return self._renderer.signed_in(f"{name}.html", asked.visitor, here=f"/{name}", **values)

    def _read_automations(self) -> dict[str, Any]:
        views = self._parts.views
        last = {
            each.name: page.rows[0]
            for each in self._automations[:MOST_AUTOMATIONS]
            if (page := views.run_page(RunFilter(automation=each.name), None, 1)).rows
        }
        now = self._parts.clock()
        return {"cards": setup_page.automation_cards(self._automations, self._inventories, last, now)}

    def _read_orphans(self) -> dict[str, Any]:
        mark = self._parts.marks(REPORT).get("orphans", {})
        listed = sum(one.reason is None for one in self._inventories)
        return {"page": setup_page.orphans(mark, self._parts.clock(), listed=listed)}

    def _read_health(self) -> dict[str, Any]:
        from closeout.checks import registry  # noqa: PLC0415 - only this page needs the checks

        parts = self._parts
        patrol = parts.marks(REPORT)
        drill = parts.marks(DRILL).get(LAST, {})
        newest = parts.views.delivery_page(EVERY_DELIVERY, None, 1).rows
        states = drill.get("states", {})
        facts = setup_page.health(
            parts.views.stats(),
            patrol,
            drill["ended_at"] if states else None,
            newest[0].received_at if newest else None,
            parts.clock(),
        )
        return {
            "facts": (*facts, *self._machine()),
            "errors": setup_page.patrol_errors(patrol),
            "checks": setup_page.drill_lines(states, {check.id: check for check in registry.CHECKS}),
        }

    def _machine(self) -> Sequence[HealthFact]:
        facts = [
            HealthFact(
                "Version",
                closeout.__version__,
                f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
            )
        ]
        place = self._parts.place
        if place is None:
            return facts
        try:
            free, size = shutil.disk_usage(place.parent).free, place.stat().st_size
        except OSError as error:
            return [*facts, HealthFact("Disk", "cannot be read", str(error.strerror), "bad")]
        tone = "bad" if free < LOW_DISK else "none"
        return [
            *facts,
            HealthFact("Disk", f"{_gigabytes(free)} free", f"the ledger has {_gigabytes(size)}", tone),
        ]


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
