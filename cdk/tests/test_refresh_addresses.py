"""The command that refreshes GitHub's addresses: from its `/meta`, with the difference shown."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import refresh_addresses
from closeout_cdk import addresses

META = {"hooks": ["192.30.252.0/22", "2a0a:a440::/29", "185.199.108.0/22"], "web": ["1.2.3.4/32"]}


@pytest.fixture
def meta() -> Iterator[str]:
    class Meta(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(META).encode() if self.path == "/meta" else b"[]"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Meta)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_file_is_written_in_order_and_read_at_synth(
    meta: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same ranges give the same file, whatever their order was."""
    file = tmp_path / "addresses.json"
    assert refresh_addresses.main(["--url", f"{meta}/meta", "--file", str(file)]) == 0
    assert addresses.read(file) == ("185.199.108.0/22", "192.30.252.0/22", "2a0a:a440::/29")
    assert "+ 185.199.108.0/22" in capsys.readouterr().out
    assert refresh_addresses.main(["--url", f"{meta}/meta", "--file", str(file)]) == 0
    assert "addresses.json is current" in capsys.readouterr().out


def test_a_check_writes_nothing_and_says_what_changed(
    meta: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a scheduled job that opens a pull request."""
    file = tmp_path / "addresses.json"
    file.write_text('{"hooks": ["192.30.252.0/22", "140.82.112.0/20"]}')
    before = file.read_text()
    assert refresh_addresses.main(["--check", "--url", f"{meta}/meta", "--file", str(file)]) == 1
    assert file.read_text() == before
    out = capsys.readouterr().out
    assert "+ 185.199.108.0/22" in out
    assert "- 140.82.112.0/20" in out


@pytest.mark.parametrize("path", ["/other", "x"])
def test_what_is_no_answer_of_githubs_changes_nothing(path: str, meta: str, tmp_path: Path) -> None:
    """An empty list would lock GitHub out."""
    file = tmp_path / "addresses.json"
    assert refresh_addresses.main(["--url", f"{meta}{path}", "--file", str(file)]) == 2
    assert not file.exists()


def test_the_committed_file_is_one() -> None:
    """It can be named as it is."""
    assert "192.30.252.0/22" in addresses.read(refresh_addresses.FILE)
