"""Put the pages together from a server's parts. Only this module knows every group of routes.

The application imports it at the first request for a page, because importing Starlette and Jinja2 takes 30 ms.
"""

from __future__ import annotations

from closeout.server.pages.api import Api
from closeout.server.pages.batches import Cleanup, Reruns
from closeout.server.pages.lists import Lists
from closeout.server.pages.overview import Overview
from closeout.server.pages.pull_requests import PullRequests
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.run_pages import RunPages
from closeout.server.pages.setup_pages import SetupPages
from closeout.server.pages.site import Site
from closeout.server.pages.user_actions import UserActions
from closeout.server.parts import ServerParts


def compose(parts: ServerParts) -> Site:
    """Return all pages over one renderer."""
    renderer = Renderer(parts.access.base_path if parts.access else "")
    readers = (RunPages, Overview, Lists, PullRequests, SetupPages, Api)
    groups = [of(parts, renderer).routes for of in readers]
    if parts.page_actions is not None:
        groups += [of(parts, parts.page_actions, renderer).routes for of in (UserActions, Cleanup, Reruns)]
    return Site(parts.access, renderer, groups, parts.views)
