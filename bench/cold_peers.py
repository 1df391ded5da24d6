"""The receivers of `make bench-cold`: the deployed one, others that do its work, and empty handlers.

All of them speak to the same stub over HTTPS and verify it; how many certificates each reads to do so is what it reads
on Lambda.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bench.tools import ROOT, install_node
from closeout.core.automation import Automation
from closeout.core.rules import compile_rules
from tests.emulator.certificate import Certificate

HERE = Path(__file__).resolve().parent
LAMBDA = HERE / "lambda"
SECRET = "bench"
RULE = Automation(
    name="cleanup", triggers=({"event": "pull_request", "types": ["closed"], "branches": ["**"]},)
)
EMPTY, EMPTY_NODE, BOTO = "empty handler", "empty handler, Node.js", "boto3 receiver"
PYTHON = {EMPTY: "empty_handler", BOTO: "boto_receiver"}
POWERTOOLS = {"Powertools receiver": "powertools_receiver"}
NODE = {EMPTY_NODE: "empty", "probot's Lambda adapter, Node.js": "probot"}
ABOUT = (
    "closeout is the bundle that is deployed. It, boto3 and Powertools read the secret over HTTPS, verify the signature,"
    " and for a pull request store the delivery in a transaction and start a run. They verify the stub with the"
    " machine's hundred and more root certificates (boto3's own file is as long) and the stub's. probot's adapter has its secret in the environment, makes no call and stores nothing."
    " Python runs under AWS's own runtime client. Its client for Node.js is a native module that has to be compiled, so"
    " that Node.js runs under a loop of ours (`bench/lambda/runtime.cjs`), bundled and minified by esbuild; the empty"
    " handler beside which it is compared runs under the same."
)


class Receiver(NamedTuple):
    """A receiver to start: `command` is for another runtime client than Python's."""

    code: Path
    handler: str
    environment: Mapping[str, str]
    command: tuple[str, ...] = ()


def environment(url: str, bundle: Path) -> dict[str, str]:
    """Return what Lambda and the stack would set, for a stub of AWS."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_CA_BUNDLE": str(bundle),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "CLOSEOUT_TABLE": "ledger",
        "CLOSEOUT_BUCKET": "bodies",
        "CLOSEOUT_WORKER": "arn:aws:lambda:eu-central-1:123456789012:function:worker:live",
        "CLOSEOUT_WEBHOOK_SECRET": "hook",
        "CLOSEOUT_RETENTION_DAYS": "90",
    }


def receivers(folder: Path, url: str, made: Certificate) -> tuple[dict[str, Receiver], list[str]]:
    """Return the receivers that can be started here, and a sentence for each that cannot."""
    given = environment(url, made.bundle)
    found = {"closeout": Receiver(_bundle(folder), "closeout.lambdas.receive.handler", given)}
    missing = []
    peers = dict(PYTHON)
    if find_spec("aws_lambda_powertools"):
        peers |= POWERTOOLS
    else:
        missing.append("Not measured, because not installed: Powertools for AWS Lambda.")
    for name, module in peers.items():
        found[name] = Receiver(_python(folder, module), f"{module}.handler", given)
    unavailable = install_node(LAMBDA)
    if unavailable:
        return found, [*missing, f"Not measured, because {unavailable}: probot's Lambda adapter."]
    for name, module in NODE.items():
        found[name] = _node(folder, module)
    return found, missing


def _bundle(folder: Path) -> Path:
    sys.path.insert(0, str(ROOT / "cdk"))
    from closeout_cdk import bundling

    place: Path = bundling.Bundler(folder / "bundles").receiver(compile_rules((RULE,), ())).path
    return place


def _python(folder: Path, module: str) -> Path:
    """Return a folder with one module, compiled as in a bundle."""
    place = folder / module
    place.mkdir()
    shutil.copy(HERE / "peers" / f"{module}.py", place)
    command = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(place)]
    subprocess.run([sys.executable, *command], check=True)
    return place


def _node(folder: Path, module: str) -> Receiver:
    """Bundle a handler into one file, as the CDK and SAM do it for Node.js."""
    place = folder / "node" / f"{module}.cjs"
    options = [
        "--bundle",
        "--minify",
        "--platform=node",
        "--format=cjs",
        "--log-level=error",
        f"--outfile={place}",
    ]
    command = [str(LAMBDA / "node_modules/.bin/esbuild"), f"{module}.js", *options]
    subprocess.run(command, cwd=LAMBDA, check=True)
    node = shutil.which("node") or "node"
    settings = {"NODE_ENV": "production", "LOG_LEVEL": "fatal", "APP_ID": "1", "WEBHOOK_SECRET": SECRET}
    settings["PRIVATE_KEY"] = _key()
    return Receiver(place.parent, module, settings, (node, str(LAMBDA / "runtime.cjs"), str(place)))


def _key() -> str:
    """Return a private key, without which probot does not start."""
    command = ["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
