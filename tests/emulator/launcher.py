"""Start the emulated account as a process group of its own, wait until it answers, and end the whole group.

The group matters: each Lambda environment is a child of the emulator, and a test that ends must leave none behind.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import urlsplit

from closeout.core.errors import Unavailable
from tests.emulator import certificate

ACCOUNT = "123456789012"
REGION = "eu-central-1"
START_SECONDS = 60.0
END_SECONDS = 2.0
ROOT = str(Path(__file__).parents[2])
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from tests.emulator.patches import main; main()"
"""The path is the program's own: in the environment, functions would inherit it and find more than their bundle."""


class Ministack:
    """An emulated AWS account as a context manager; everything that it writes is below `folder`.

    `python` is the interpreter of an environment with ministack and without closeout: functions run under it, and
    must find nothing but what their bundle holds. `environment()` is what the CDK, boto3 and closeout need to talk
    to it; `skip(seconds)` sets the clock of the account and of its functions forward.
    """

    def __init__(self, python: Path, folder: Path, *, account: str = ACCOUNT, region: str = REGION) -> None:
        self.account = account
        self.region = region
        self.url = ""
        self.log = folder / "ministack.log"
        self._python = python
        self._folder = folder
        self._clock = folder / "clock"
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._certificate: certificate.Certificate | None = None

    # --- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start it and wait until it answers. Raises `Unavailable` with the end of its log."""
        (self._folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._certificate = certificate.make(self._folder)
        port = _free_port()
        self.url = f"https://127.0.0.1:{port}"
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            [str(self._python), "-c", PROGRAM, ROOT],
            env=self._own_environment(port, self._certificate),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End it with everything that it has started."""
        process, self._process = self._process, None
        if process is not None:
            for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
                _signal_group(process.pid, number)
                try:
                    process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
            _signal_group(process.pid, signal.SIGKILL)
        if self._output is not None:
            self._output.close()
            self._output = None

    @property
    def pid(self) -> int:
        """The emulator's process id; it leads the group of its functions' processes."""
        assert self._process is not None
        return self._process.pid

    def last_output(self, lines: int = 20) -> str:
        """Return the end of what it wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    # --- talking to it --------------------------------------------------------------------------------

    @property
    def bundle(self) -> Path:
        """The CA bundle with which its certificate is trusted."""
        assert self._certificate is not None
        return self._certificate.bundle

    def environment(self) -> dict[str, str]:
        """Return the variables under which AWS's SDKs, the CDK and Python's TLS talk to it, as the account's root."""
        assert self._certificate is not None
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "emulated",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_CA_BUNDLE": str(self.bundle),
            "SSL_CERT_FILE": str(self.bundle),
            "NODE_EXTRA_CA_CERTS": str(self._certificate.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str, **credentials: str) -> Any:
        """Return a boto3 client: the root's, or that of `access_key`, `secret_key` and `token`."""
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            aws_access_key_id=credentials.get("access_key", self.account),
            aws_secret_access_key=credentials.get("secret_key", "emulated"),
            aws_session_token=credentials.get("token"),
            region_name=self.region,
        )
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3})
        return session.client(service, endpoint_url=self.url, verify=str(self.bundle), config=config)

    def webhook(self, api_id: str, stage: str = "prod", path: str = "/webhook") -> str:
        """Return where a REST API of the account answers here."""
        return f"{self.url}/_aws/execute-api/{api_id}/{stage}{path}"

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        source: str = "127.0.0.1",
        timeout: float = 30.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request from an address of loopback; return status, headers (lower case) and body."""
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "",
            parts.port,
            timeout=timeout,
            context=ssl.create_default_context(cafile=str(self.bundle)),
            source_address=(source, 0),
        )
        try:
            connection.request(
                method, parts.path + (f"?{parts.query}" if parts.query else ""), body, dict(headers or {})
            )
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()
        finally:
            connection.close()

    def skip(self, seconds: float) -> None:
        """Set the clock of the account and its functions forward, so that what waits that long continues now."""
        now = float(self._clock.read_text() or 0) if self._clock.exists() else 0.0
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(repr(now + seconds))
        fresh.replace(self._clock)

    # --- inside ---------------------------------------------------------------------------------------

    def _own_environment(self, port: int, made: certificate.Certificate) -> dict[str, str]:
        dropped = ("AWS_", "CLOSEOUT_", "GITHUB_", "PYTHON", "MINISTACK_", "LOCALSTACK_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return {
            **kept,
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(made.certificate),
            "MINISTACK_SSL_KEY": str(made.key),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_ACCOUNT_ID": self.account,
            "MINISTACK_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "emulated",
            "AWS_CA_BUNDLE": str(made.bundle),
            "SSL_CERT_FILE": str(made.bundle),
            "S3_DATA_DIR": str(self._folder / "s3"),
            "TMPDIR": str(self._folder / "tmp"),
            "CLOSEOUT_EMULATED_CLOCK": str(self._clock),
            "PYTHONUNBUFFERED": "1",
            "LOG_LEVEL": "INFO",
        }

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self.request("GET", f"{self.url}/_ministack/health", timeout=2.0)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise Unavailable(f"The emulator did not start: {self.last_output() or 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
