"""gidgethub on aiohttp with uvloop, as its documentation shows: it verifies and dispatches, and stores nothing."""

import os

import uvloop
from aiohttp import web
from gidgethub import routing, sansio

SECRET = os.environ["BENCH_SECRET"]
router = routing.Router()


@router.register("pull_request", action="closed")
async def closed(event: sansio.Event) -> None:
    """Do nothing, like the handlers of the other peers."""


async def webhook(request: web.Request) -> web.Response:
    event = sansio.Event.from_http(request.headers, await request.read(), secret=SECRET)
    await router.dispatch(event)
    return web.Response(status=200)


def main() -> None:
    uvloop.install()
    app = web.Application(client_max_size=25_000_000)
    app.router.add_post("/webhook", webhook)
    web.run_app(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=None, print=None)


if __name__ == "__main__":
    main()
