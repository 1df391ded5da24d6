"""Whom the receiver speaks to: servers that are verified, by AWS's own roots, by the machine's, or by a named bundle."""

from __future__ import annotations

import contextlib
import hashlib
import re
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
from closeout.lambdas import roots
from closeout.lambdas.trust import Trust
from closeout.lambdas.wire import Aws
from closeout.testing.ministack import certificate
from tests.unit.lambdas.test_wire import ANSWER, read_request

FINGERPRINTS = {
    "Amazon Root CA 1": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "Amazon Root CA 2": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "Amazon Root CA 3": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "Amazon Root CA 4": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "Starfield Services Root Certificate Authority - G2": "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
}
"""SHA-256 of the certificates, as https://www.amazontrust.com/repository/ gives them."""
YEAR = 365 * 86_400

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


class Https(NamedTuple):
    """A server with a certificate that signs itself; `seen` gets an entry for each handshake, with its error if any."""

    port: int
    certificate: Path
    seen: list[str]

    def had(self, *expected: str) -> bool:
        """Whether these were its handshakes; a refused one may come to its notice later than to its client's."""
        until = time.monotonic() + 5
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

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listening.accept()
                plain.settimeout(5)
                try:
                    secured = context.wrap_socket(plain, server_side=True)
                except OSError as error:
                    seen.append(type(error).__name__)
                    continue
                seen.append("spoken to")
                with secured:
                    while read_request(secured):
                        secured.sendall(ANSWER)

    threading.Thread(target=serve, daemon=True).start()
    yield Https(listening.getsockname()[1], made.certificate, seen)
    listening.close()


def call(https: Https, host: str = "127.0.0.1", **environment: str) -> None:
    """Call once; a failure is not tried again. Raises `ServiceError`."""
    environment |= {"AWS_ENDPOINT_URL": f"https://{host}:{https.port}", "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    aws = Aws(environment, pause=lambda _: (_ for _ in ()).throw(InterruptedError))
    with contextlib.suppress(InterruptedError):
        assert aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", {}) == {}
        return
    raise ServiceError("refused", service="dynamodb", operation="GetItem", reason="refused")


def test_a_connection_that_was_made_ahead_is_used_whatever_tls_says_meanwhile(https: Https) -> None:
    """A server sends its session tickets after the handshake: they are no answer that nobody asked for."""
    aws = Aws(
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


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(https: Https) -> None:
    """Neither AWS's own roots nor the machine's know it: both are asked, and no request is sent."""
    with pytest.raises(ServiceError):
        call(https)
    assert https.had("SSLError", "SSLError")


def test_a_server_that_only_the_machine_knows_is_verified_with_its_roots(
    https: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition whose certificates are another authority's: one handshake more, and full verification."""
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    call(https)
    assert https.had("SSLError", "spoken to")


def test_the_name_is_verified_with_the_machines_roots_too(
    https: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is known, and it is somebody else's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    with pytest.raises(ServiceError):
        call(https, host="127.0.0.2")
    assert "spoken to" not in https.seen


def test_a_named_bundle_is_all_that_is_believed(
    https: Https, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`AWS_CA_BUNDLE` wins: what is in it is enough, and what the machine trusts besides does not count."""
    call(https, AWS_CA_BUNDLE=str(https.certificate))
    assert https.had("spoken to")
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    bundle = tmp_path / "others.pem"
    bundle.write_text(roots.AMAZON, "ascii")
    with pytest.raises(ServiceError):
        call(https, AWS_CA_BUNDLE=str(bundle))
    assert https.had("spoken to", "SSLError")


def test_every_context_verifies_certificate_and_name() -> None:
    """With AWS's own roots and with the machine's."""
    trust = Trust({})
    narrow = trust.context()
    assert trust.widen()
    assert not trust.widen()
    for context in (narrow, trust.context()):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
    assert len(narrow.get_ca_certs()) == len(FINGERPRINTS)


def shipped() -> dict[str, bytes]:
    """Return the certificates in DER, by their name."""
    found = re.findall(r"^([^\n]+), until \d{4}-\d\d-\d\d\n(-----BEGIN.*?END CERTIFICATE-----)", roots.AMAZON, re.DOTALL | re.MULTILINE)  # fmt: skip
    return {name: ssl.PEM_cert_to_DER_cert(text) for name, text in found}


def test_the_roots_are_those_that_amazon_publishes() -> None:
    """By their fingerprints; and there is no other."""
    assert {name: hashlib.sha256(der).hexdigest() for name, der in shipped().items()} == FINGERPRINTS
    assert roots.AMAZON.count("BEGIN CERTIFICATE") == len(FINGERPRINTS)


def test_the_roots_are_in_a_trust_store_that_others_keep() -> None:
    """In botocore's, which every AWS SDK for Python takes: the day one is withdrawn there, this fails."""
    import botocore

    store = (Path(botocore.__file__).parent / "cacert.pem").read_text("ascii", "ignore")
    kept = {ssl.PEM_cert_to_DER_cert(text) for text in re.findall(r"-----BEGIN.*?END CERTIFICATE-----", store, re.DOTALL)}  # fmt: skip
    assert set(shipped().values()) <= kept


def test_the_roots_are_valid_for_a_year_and_longer() -> None:
    """Whoever runs the tests hears of an end before a receiver does; the dates in the source are the certificates'."""
    context = ssl.create_default_context(cadata=roots.AMAZON)
    for kept in context.get_ca_certs():
        until = ssl.cert_time_to_seconds(str(kept["notAfter"]))
        assert until > time.time() + YEAR
        assert f"until {time.strftime('%Y-%m-%d', time.gmtime(until))}" in roots.AMAZON
