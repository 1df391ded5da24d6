"""Whom the receiver speaks to: servers that are verified, by the machine's certificates or by a named bundle."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from closeout.core.errors import ServiceError
from closeout.lambdas.aws_client import AwsClient
from tests.emulator import certificate
from tests.unit.lambdas.test_aws_client import ANSWER, read_request

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None,
    reason="no openssl on the PATH, which makes the certificates: on Debian, `apt-get install openssl`",
)


class Https(NamedTuple):
    """A server with a certificate that signs itself; `seen` gets an entry for each handshake."""

    port: int
    certificate: Path
    seen: list[str]

    def had(self, *expected: str) -> bool:
        """Whether these were its handshakes; a refused one may come to its notice later than to its client's."""
        until = time.monotonic() + 30
        while len(self.seen) < len(expected) and time.monotonic() < until:
            time.sleep(0.01)
        return self.seen == list(expected)


@pytest.fixture
def https(tmp_path: Path) -> Iterator[Https]:
    """Answer everything with `{}` over TLS, on 127.0.0.1."""
    made = certificate.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    listening = socket.create_server(("127.0.0.1", 0))
    seen: list[str] = []

    def answer(plain: socket.socket) -> None:
        plain.settimeout(5)
        try:
            secured = context.wrap_socket(plain, server_side=True)
        except OSError:
            seen.append("refused")
            return
        seen.append("spoken to")
        with contextlib.suppress(OSError), secured:
            while read_request(secured):
                secured.sendall(ANSWER)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                # A thread for each, because a client may keep a connection open while another one calls.
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield Https(listening.getsockname()[1], made.certificate, seen)
    listening.close()


def call(https: Https, host: str = "127.0.0.1", **environment: str) -> None:
    """Call once; a failure is not tried again. Raises `ServiceError`."""
    environment |= {"AWS_ENDPOINT_URL": f"https://{host}:{https.port}", "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    aws = AwsClient(environment, pause=lambda _: (_ for _ in ()).throw(InterruptedError))
    with contextlib.suppress(InterruptedError):
        assert aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", {}) == {}
        return
    raise ServiceError("refused", service="dynamodb", operation="GetItem", reason="refused")


def test_a_connection_opened_in_advance_survives_session_tickets(https: Https) -> None:
    """A server sends them after the handshake: they are not an unexpected answer."""
    aws = AwsClient(
        {
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{https.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CA_BUNDLE": str(https.certificate),
        }
    )
    aws.connect_ahead("dynamodb")
    assert https.had("spoken to")
    time.sleep(0.1)
    assert aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", {}) == {}
    assert https.had("spoken to")


def test_a_server_with_an_unknown_certificate_gets_no_request(https: Https) -> None:
    """The machine's certificates do not vouch for it."""
    with pytest.raises(ServiceError):
        call(https)
    assert https.had("refused")


def test_a_server_with_a_known_certificate_is_used(https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's endpoints in any partition, and a proxy that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    call(https)
    assert https.had("spoken to")


def test_the_name_is_verified_too(https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is valid, but for another host."""
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    with pytest.raises(ServiceError):
        call(https, host="127.0.0.2")
    assert "spoken to" not in https.seen


def test_a_named_bundle_replaces_the_machines_certificates(
    https: Https, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`AWS_CA_BUNDLE` wins: what it contains is enough, and nothing else is trusted."""
    call(https, AWS_CA_BUNDLE=str(https.certificate))
    assert https.had("spoken to")
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    others = tmp_path / "others"
    others.mkdir()
    with pytest.raises(ServiceError):
        call(https, AWS_CA_BUNDLE=str(certificate.make(others).certificate))
    assert https.had("spoken to", "refused")
