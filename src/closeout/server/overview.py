"""The first page of somebody who is signed in.

It says who they are and what they may do.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from closeout.ports.access import READ
from closeout.server.rendering import Renderer
from closeout.server.site import Asked, Route


class Overview:
    """The route of `/`."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return (Route("GET", "/", READ, self._page),)

    async def _page(self, asked: Asked) -> Response:
        assert asked.visitor is not None
        return self._renderer.signed_in("overview.html", asked.visitor, here="/")
