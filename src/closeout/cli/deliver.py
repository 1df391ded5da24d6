"""`closeout deliver`: sign a payload and send it as GitHub would.

The request goes out over the standard library's HTTP, follows no redirect, and carries the signature that the
receiver will check. A URL on another machine needs a confirmation, because the receiver there may act on it.
"""

from __future__ import annotations

import ipaddress
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import click

from closeout.cli import confirm, exits, options, output
from closeout.cli.commands import command
from closeout.core import closing as closings
from closeout.core.errors import InputError, Unavailable, UsageError
from closeout.core.secrets import REFERENCES
from closeout.core.units import spoken_size
from closeout.core.url import Url, parse

TIMEOUT = 30.0
ANSWER_LIMIT = 1_000_000


class ReceiverAnswer(NamedTuple):
    """The receiver's answer, and how long it took."""

    status: int
    body: bytes
    milliseconds: float


@command(
    "deliver",
    "closeout deliver --url http://127.0.0.1:8080/webhook \\",
    "  --secret env:CLOSEOUT_WEBHOOK_SECRET --sample pull_request.closed",
    "closeout deliver --url http://127.0.0.1:8080/webhook \\",
    "  --secret env:CLOSEOUT_WEBHOOK_SECRET --event push --payload push.json",
)
@click.option("--url", required=True, metavar="U", help="The webhook's address, with its path.")
@options.event
@options.payload
@click.option("--sample", metavar="NAME", help="A built-in payload; its repository matches no config.")
@click.option("--secret", required=True, metavar="REF", help="The webhook's secret: env:NAME or file:PATH.")
@click.option("--hook-id", metavar="N", help="Sent as X-GitHub-Hook-ID.")
@click.option("--guid", metavar="G", help="Sent as X-GitHub-Delivery.  [default: a new one]")
@click.option("--form", is_flag=True, help="Send a form, as webhooks with that content type do.")
@options.yes
@options.as_json
def deliver(  # noqa: PLR0913  one parameter for each option
    *,
    url: str,
    event: str | None,
    payload: str | None,
    sample: str | None,
    secret: str,
    hook_id: str | None,
    guid: str | None,
    form: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Sign a payload with the webhook's secret and POST it to URL; print the answer.

    Give the payload with --payload and --event, or with --sample. If the payload closes a pull request, closeout
    sends the present time as its time of closing, because each closing starts an automation only once. Exit code 0
    if the status is 2xx, 1 if it is another one, 4 if there is no answer. For a URL on another machine it shows the
    request and asks first.
    """
    target = _target(url)
    event, text = _content(event, payload, sample)
    text = _closed_now(event, text)
    body = b"payload=" + quote_plus(text).encode("ascii") if form else text
    guid = guid or str(uuid.uuid4())
    headers = {
        "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
        "User-Agent": f"closeout-deliver ({confirm.who()})",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-Hub-Signature-256": _signature(body, secret),
        **({"X-GitHub-Hook-ID": hook_id} if hook_id else {}),
    }
    if not is_loopback(target.host):
        output.note(f"POST {url}\n  event {event}, delivery {guid}, {spoken_size(len(body))}, {_about(text)}")
        confirm.confirm("The receiver may act on it. Send it?", yes=yes)
    answer = _post(target, body, headers)
    _report(answer, guid, as_json=as_json)
    if answer.status == 401:
        output.note(
            f"The server uses a different secret from {secret}. Its log names the reference that it uses."
        )
    if answer.status == 404 and not target.path.rstrip("/").endswith("/webhook"):
        output.note(f"The path of closeout's webhook is /webhook: {target.origin}/webhook")
    return exits.OK if 200 <= answer.status < 300 else exits.FAILED


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself. A name other than localhost may resolve to anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _target(url: str) -> Url:
    try:
        return parse(url)
    except InputError as error:
        raise UsageError(
            f"--url is not an http(s) address, such as http://127.0.0.1:8080/webhook: {error.message}."
        ) from None


def _content(event: str | None, payload: str | None, sample: str | None) -> tuple[str, bytes]:
    if sample is not None and payload is None:
        from closeout.testing import deliveries

        if sample not in deliveries.SAMPLES:
            raise UsageError(f"There is no sample {sample!r}. Known: {', '.join(deliveries.SAMPLES)}.")
        name, value = deliveries.sample(sample)
        return event or name, json.dumps(value).encode()
    if payload is None or sample is not None:
        raise UsageError("Give the payload with either --payload PATH and --event E, or --sample NAME.")
    if not event:
        raise UsageError("Name the payload's event with --event, for example --event pull_request.")
    return event, options.read_payload(payload)


def _closed_now(event: str, text: bytes) -> bytes:
    """Return the payload of a closing with the present time as its time of closing; return any other one unchanged."""
    try:
        value = json.loads(text)
        closed_at = value["pull_request"]["closed_at"]
        is_closing = event == closings.EVENT and value["action"] == closings.ACTION
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
    if not is_closing or not closed_at or not isinstance(closed_at, str):
        return text
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return text.replace(f'"{closed_at}"'.encode(), f'"{now}"'.encode())


def _signature(body: bytes, reference: str) -> str:
    if not reference.startswith(REFERENCES):
        # What was given may be the secret itself, so it is not repeated.
        raise UsageError("--secret takes a reference, env:NAME or file:PATH, never the secret itself.")
    from closeout.adapters.secrets import SecretReader
    from closeout.core.signature import sign

    return sign(body, SecretReader().read(reference)[0].encode())


def _about(text: bytes) -> str:
    """Return the action and the repository of a payload, as far as they can be read."""
    try:
        value = json.loads(text)
        action, repository = value.get("action") or "no action", value["repository"]["full_name"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "no repository"
    return output.clean(f"{action} in {repository}")


def _post(target: Url, body: bytes, headers: dict[str, str]) -> ReceiverAnswer:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    kind = HTTPSConnection if target.scheme == "https" else HTTPConnection
    connection = kind(target.host, target.port, timeout=TIMEOUT)
    began = time.perf_counter()
    try:
        connection.request("POST", target.target, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read(ANSWER_LIMIT)
    except (UnicodeEncodeError, ValueError) as error:
        raise UsageError(f"This cannot be sent: {error}.") from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        fix = " Is `closeout serve` running there?" if isinstance(error, ConnectionRefusedError) else ""
        raise Unavailable(f"No answer from {target.origin}: {why}.{fix}") from None
    finally:
        connection.close()
    return ReceiverAnswer(response.status, text, (time.perf_counter() - began) * 1000)


def _report(answer: ReceiverAnswer, guid: str, *, as_json: bool) -> None:
    said: Any
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = answer.body.decode("utf-8", "replace")
    if as_json:
        output.print_json(
            {"status": answer.status, "guid": guid, "milliseconds": answer.milliseconds, "answer": said}
        )
        return
    output.say(f"{answer.status} in {answer.milliseconds:.1f} ms, delivery {guid}")
    if isinstance(said, dict):
        for key, value in said.items():
            shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
            output.say(f"  {key}: {output.clean(shown)}")
        if said.get("runs") == []:
            output.note(
                "No automation matches it. `closeout deliveries list` shows it; `closeout explain` says why."
            )
    elif said:
        output.say(f"  {output.clean(said[:500])}")
