"""`closeout serve`: the receiver, the engine and the pages, in one process.

Mistakes that show before the first delivery are reported here, each in one sentence: the file, the ledger's folder,
the port.
"""

from __future__ import annotations

import errno
import socket
from contextlib import nullcontext
from pathlib import Path

import click

from closeout.cli import options, output
from closeout.cli.commands import command
from closeout.core.errors import Unavailable, UsageError


def _checked_proxies(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the networks of trusted proxies, loopback by default."""
    from closeout.server.connection_limits import LOOPBACK, networks

    if given == ("none",):
        return ()
    try:
        networks(given)
    except ValueError:
        raise click.BadParameter(
            "Write an address or a network, such as 10.0.0.5 or 10.0.0.0/24; or none alone."
        ) from None
    return given or LOOPBACK


def _address(
    _context: click.Context, _parameter: click.Parameter, given: str | None
) -> tuple[str, int] | None:
    """Return host and port of HOST:PORT."""
    if given is None:
        return None
    host, _, port = given.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host) or not port.isdecimal() or int(port) > 65_535:
        raise click.BadParameter("Write HOST:PORT, such as 127.0.0.1:8081 or [::1]:8081.")
    return bare, int(port)


@command(
    "serve",
    "closeout serve --config closeout.yaml",
    "closeout serve --port 8080 --public-url https://closeout.example.com",
    "closeout serve --host 0.0.0.0 --pages 127.0.0.1:8081",
)
@options.config
@options.db
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--pages",
    metavar="HOST:PORT",
    callback=_address,
    help="A second address for the pages and the JSON API, which then answer only there. Details links stay at --port.",
)
@click.option(
    "--public-url", metavar="URL", help="The base of Details links, instead of the file's public-url."
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    callback=_checked_proxies,
    help="An address or network (CIDR) of a reverse proxy, which may open any number of connections. Repeatable."
    " The default is loopback; `none` trusts no address.",
)
@click.option("--json-logs", is_flag=True, help="Log to stderr as JSON, one object a line.")
def serve(  # noqa: PLR0913 - each argument is an option
    *,
    config: Path,
    db: Path | None,
    host: str,
    port: int,
    pages: tuple[str, int] | None,
    public_url: str | None,
    trusted_proxies: tuple[str, ...],
    json_logs: bool,
) -> None:
    """Receive deliveries at POST /webhook, store them, and run what they start.

    Also serves the pages (`closeout open` signs you in), the JSON API, /healthz, /readyz and /metrics. On stderr it prints the
    address, each automation with its mode, and the AWS account. SIGTERM and Ctrl-C drain: it accepts no more
    deliveries, runs stop at their next operation, and the next start continues them. A second signal ends it at
    once. The configuration's folder is on Python's module path.
    """
    from closeout.server.service import serve_forever

    ledger = options.ledger_path(db, config)
    options.check_folder(ledger)
    with _listener(pages, (host, port)) if pages else nullcontext() as listener:
        try:
            serve_forever(
                config,
                ledger,
                host,
                port,
                base_url=public_url,
                json_logs=json_logs,
                trusted_proxies=trusted_proxies,
                pages=listener,
                on_listening=lambda address: output.note(f"closeout listens on {address}"),
            )
        except OSError as error:
            raise Unavailable(_why(error, host, port)) from None


def _listener(pages: tuple[str, int], webhook: tuple[str, int]) -> socket.socket:
    """Bind the address of the pages before anything else starts. Raises `Unavailable` or `UsageError`."""
    from closeout.server import serve as server

    if pages == webhook and pages[1]:
        raise UsageError("The pages and the webhook have the same address; give --pages another port.")
    try:
        return server.bind(*pages)
    except OSError as error:
        raise Unavailable(_why(error, *pages, "--pages", "--pages")) from None


def _why(
    error: OSError, host: str, port: int, host_option: str = "--host", port_option: str = "--port"
) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program; choose another one with {port_option}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"This user may not open port {port} on {host}; choose one above 1023 with {port_option}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another one with {host_option}."
    if isinstance(error, socket.gaierror):
        return (
            f"{host} is neither an address nor a name of this machine; choose another one with {host_option}."
        )
    return f"Cannot serve: {error.strerror or error}."
