"""Who is measured as a receiver, each set up to be at its fastest: production mode, logging off, handlers empty."""

import json
import shutil
import subprocess
from pathlib import Path

from bench.load import SECRET
from bench.servers import Peer, Start
from bench.tools import BENCH, PEER_PYTHON, PEERS, ROOT, WORK, program

CLOSEOUT = ROOT / ".venv/bin/closeout"
STORED = "closeout"
STORED_WITH_RUNS = "closeout, a run each"

CONFIG = """\
version: 1
secrets:
  webhook: env:BENCH_SECRET
automations:
  bench:
    on: {{ pull_request: {{ types: [closed], branches: ['{branch}'] }} }}
    repositories: ['*/*']
    status: false
    concurrency: bench
    steps:
      - uses: shell
        destructive: false
        with: {{ run: 'sleep 3600' }}
"""


def receivers() -> list[Peer]:
    """Everybody who can be measured on this machine, closeout first."""
    peers = [
        closeout_with(),
        Peer(STORED_WITH_RUNS, "delivery and run, fsynced", _closeout("**"), {"BENCH_SECRET": SECRET}),
    ]
    if shutil.which("node"):
        key = _private_key()
        environment = {"BENCH_SECRET": SECRET, "BENCH_PRIVATE_KEY": str(key)}
        peers.append(Peer("@octokit/webhooks", "nothing", _node("octokit.mjs"), environment))
        peers.append(Peer("probot", "nothing", _node("probot.mjs"), environment))
    gidgethub = [str(PEER_PYTHON), str(PEERS / "gidgethub_app.py")]
    peers.append(
        Peer("gidgethub, aiohttp", "nothing", lambda _port, _folder: gidgethub, {"BENCH_SECRET": SECRET})
    )
    if webhook := program("webhook"):
        peers.append(Peer("adnanh/webhook", "nothing; starts /bin/true", _adnanh(webhook)))
    if nginx := program("nginx"):
        peers.append(Peer("nginx, return 202", "nothing, verifies nothing", _nginx(nginx)))
    return peers


def closeout_with(ledger: Path | None = None) -> Peer:
    """closeout over this ledger, or over a new one."""
    return Peer(STORED, "delivery, fsynced", _closeout("never-matches", ledger), {"BENCH_SECRET": SECRET})


def _closeout(branch: str, ledger: Path | None = None) -> Start:
    def command(port: int, folder: Path) -> list[str]:
        (folder / "closeout.yaml").write_text(CONFIG.format(branch=branch), "utf-8")
        arguments = ["--config", "closeout.yaml", "--db", str(ledger or "ledger.db")]
        return [str(CLOSEOUT), "serve", *arguments, "--host", "127.0.0.1", "--port", str(port)]

    return command


def _node(script: str) -> Start:
    return lambda _port, _folder: ["node", str(PEERS / script)]


def _private_key() -> Path:
    """A key for probot, which wants one even if it never signs with it."""
    path = WORK / "app.pem"
    if not path.exists():
        script = (
            "const {generateKeyPairSync} = require('node:crypto');"
            "console.log(generateKeyPairSync('rsa', {modulusLength: 2048, publicKeyEncoding: {type: 'spki', format: 'pem'},"
            "privateKeyEncoding: {type: 'pkcs1', format: 'pem'}}).privateKey)"
        )
        path.write_bytes(subprocess.run(["node", "-e", script], capture_output=True, check=True).stdout)
    return path


def _adnanh(webhook: str) -> Start:
    def command(port: int, folder: Path) -> list[str]:
        signed = {
            "type": "payload-hmac-sha256",
            "secret": SECRET,
            "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
        }
        closed = {"type": "value", "value": "closed", "parameter": {"source": "payload", "name": "action"}}
        hook = {
            "id": "webhook",
            "execute-command": "/bin/true",
            "trigger-rule": {"and": [{"match": signed}, {"match": closed}]},
        }
        (folder / "hooks.json").write_text(json.dumps([hook]), "utf-8")
        return [webhook, "-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", str(port), "-urlprefix", ""]

    return command


def _nginx(nginx: str) -> Start:
    def command(port: int, folder: Path) -> list[str]:
        text = (BENCH / "peers/nginx.conf").read_text("utf-8").replace("PORT", str(port))
        (folder / "nginx.conf").write_text(text, "utf-8")
        return [nginx, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]

    return command
