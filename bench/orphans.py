"""The audit of a large account: `closeout orphans` over 10,000 previews, where every call takes 50 ms.

    python -m bench.orphans [--keep]

The real command, as a process, talks over HTTP to two stand-ins in this process: an AWS that lists stacks (100 a page) or
a bucket's versions (1,000 a page, two under each prefix), and a GitHub whose pull requests are all closed, each as large as a
real one. Every preview is an orphan, so every one is judged to the end, its `if` included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from bench.tools import BENCH, ROOT
from closeout.testing import payloads

COUNT, LATENCY, BUDGET = 10_000, 0.05, 60.0
MADE = "2026-03-12T10:00:00.000Z"
TIMES = {"created_at": "2026-03-10T08:00:00Z", "closed_at": "2026-03-14T09:26:53Z"}
CONFIG = """\
version: 1
secrets: {{ webhook: env:TOKEN, github: env:TOKEN }}
github: {{ api-url: env:API }}
aws: {{ account: '123456789012', region: eu-central-1 }}
automations:
  previews:
    on: {{ pull_request: {{ types: [closed], branches: [develop] }} }}
    repositories: [acme/shop]
    if: "!event.pull_request.labels.exists(label, label.name == 'keep-preview')"
    steps: [{{ {step} }}]
"""
STEPS = {
    "stacks": "uses: aws/cloudformation-delete-stack, with: { stack-name: 'preview-${{ event.number }}' }",
    "prefixes of a bucket": "uses: aws/s3-delete-objects, with: { bucket: previews, prefix: 'shop/${{ event.number }}/' }",
}


class Standin(BaseHTTPRequestHandler):
    """AWS and GitHub on one port; each answer comes after `LATENCY` seconds."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    calls: ClassVar[Counter[str]] = Counter()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer any call."""
        length = int(self.headers.get("Content-Length") or 0)
        form = parse_qs(self.rfile.read(length).decode())
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        began = time.monotonic()
        kind, body = self._github(path, query) if path.startswith("/repos/") else self._aws(form, query)
        self.calls[kind] += 1
        time.sleep(max(0.0, LATENCY - (time.monotonic() - began)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if path.startswith("/repos/") else "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the base class looks for these names

    def _github(self, path: str, query: dict[str, list[str]]) -> tuple[str, bytes]:
        if not path.endswith("/pulls"):
            return "GitHub: one thing", json.dumps(payloads.repository()).encode()
        newest = COUNT - 100 * (int(query["page"][0]) - 1)
        return "GitHub: a page", b"[" + b",".join(_pull(n) for n in range(newest, newest - 100, -1)) + b"]"

    def _aws(self, form: dict[str, list[str]], query: dict[str, list[str]]) -> tuple[str, bytes]:
        action = form.get("Action", [""])[0]
        if action == "GetCallerIdentity":
            return f"AWS: {action}", _xml(action, "<Account>123456789012</Account>")
        if action == "ListStacks":
            return f"AWS: {action}", _xml(action, _stacks(int(form.get("NextToken", ["1"])[0])))
        return "AWS: ListObjectVersions", _versions(query)


_TEMPLATE = json.dumps(
    payloads.pull_request(payloads.repository(full=True), number=987654321, full=True) | TIMES
)


def _pull(number: int) -> bytes:
    return _TEMPLATE.replace("987654321", str(number)).encode()


def _xml(action: str, inner: str) -> bytes:
    text = f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
    return text.encode()


def _stacks(first: int) -> str:
    rows = "".join(
        f"<member><StackId>arn:{n}</StackId><StackName>preview-{n}</StackName><CreationTime>{MADE}</CreationTime>"
        "<StackStatus>CREATE_COMPLETE</StackStatus></member>"
        for n in range(first, first + 100)
    )
    more = f"<NextToken>{first + 100}</NextToken>" if first + 100 <= COUNT else ""
    return f"<StackSummaries>{rows}</StackSummaries>{more}"


def _versions(query: dict[str, list[str]]) -> bytes:
    """Return a page: two versions under each of 500 prefixes."""
    first = int(query.get("key-marker", ["1"])[0])
    more = first + 500 <= COUNT
    inner = "".join(
        f"<Version><Key>shop/{n}/{file}</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><Size>1</Size>"
        f"<LastModified>{MADE}</LastModified></Version>"
        for n in range(first, first + 500)
        for file in range(2)
    )
    inner += f"<NextKeyMarker>{first + 500}</NextKeyMarker>" if more else ""
    flag = "true" if more else "false"
    return f"<ListVersionsResult><IsTruncated>{flag}</IsTruncated>{inner}</ListVersionsResult>".encode()


def measure(kind: str, url: str) -> dict[str, Any]:
    """Run the command once; return its seconds, its calls and what it found."""
    Standin.calls = Counter()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "closeout.yaml")
        config.write_text(CONFIG.format(step=STEPS[kind]), "utf-8")
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": url}
        environment = {**os.environ, **keys, "TOKEN": "token", "API": url, "PYTHONPATH": str(ROOT / "src")}
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "closeout", "orphans", "--config", str(config), "--json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        seconds = time.monotonic() - began
    if done.returncode != 1:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-2_000:]}")
    told = json.loads(done.stdout)
    return {
        "kind": kind,
        "seconds": seconds,
        "orphans": len(told["orphans"]),
        "unknown": len(told["unknown"]),
        "calls": dict(Standin.calls.most_common()),
    }


def report(rows: list[dict[str, Any]]) -> str:
    """Return the page."""
    lines = [
        f"# An audit of {COUNT:,} previews, {LATENCY * 1000:g} ms a call",
        "",
        f"`closeout orphans --json` as a process, over stand-ins on one machine. The budget is {BUDGET:g} s.",
        "",
        "| previews | orphans | seconds | budget | calls |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        calls = ", ".join(f"{name} {number:,}" for name, number in row["calls"].items())
        held = "holds" if row["seconds"] < BUDGET else "**does not hold**"
        lines.append(f"| {row['kind']} | {row['orphans']:,} | {row['seconds']:.1f} | {held} | {calls} |")
    return "\n".join(lines)


def main() -> int:
    """Measure both kinds of previews."""
    parser = argparse.ArgumentParser(prog="python -m bench.orphans", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the figures in bench/results")
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Standin)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows = [measure(kind, f"http://127.0.0.1:{server.server_port}") for kind in STEPS]
    server.shutdown()
    text = report(rows)
    print(text)
    if options.keep:
        place = BENCH / "results" / f"{datetime.now(UTC):%Y-%m-%d}-orphans"
        place.with_suffix(".md").write_text(text + "\n", "utf-8")
        place.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
