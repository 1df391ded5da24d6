"""A certificate for loopback, made on the fly: with IAM enforced the emulator takes TLS only.

The bootstrap bucket's own policy refuses plain HTTP, as on AWS, so there is no way around one.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from closeout.core.errors import Unavailable

DAYS = "2"
EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
)


class Certificate(NamedTuple):
    """Files in PEM: the certificate, its key, and the certificate with the machine's own roots (a CA bundle)."""

    certificate: Path
    key: Path
    bundle: Path


def make(folder: Path) -> Certificate:
    """Make a key and a certificate for 127.0.0.1 that signs itself. Raises `Unavailable` without `openssl`."""
    made = Certificate(folder / "server.crt", folder / "server.key", folder / "ca-bundle.pem")
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Unavailable(
            "The emulator needs the program openssl on the PATH, to make a certificate for loopback."
        )
    command = [openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += [
        "-keyout",
        str(made.key),
        "-out",
        str(made.certificate),
        "-days",
        DAYS,
        "-subj",
        "/CN=localhost",
    ]
    for extension in EXTENSIONS:
        command += ["-addext", extension]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise Unavailable(f"openssl could not make a certificate: {outcome.stderr.strip()[-300:]}")
    made.key.chmod(0o600)
    roots = ssl.get_default_verify_paths().cafile
    known = Path(roots).read_bytes() if roots and Path(roots).is_file() else b""
    made.bundle.write_bytes(known + b"\n" + made.certificate.read_bytes())
    return made
