"""`make bench-cold`: how long GitHub waits for a receiver on AWS that has just been started, beside others.

    python -m bench.cold [--rounds N] [--only-starts] [--keep]

Each round starts every receiver anew under AWS's own runtime client, one after the other, so that a slow minute hits
all of them. AWS itself is a stub over HTTPS that answers at once: what is measured is the receiver, not an emulator.
Times count from the start of the process; what Lambda adds before that (sandbox, code) is the same for all.
"""

import argparse
import importlib.util
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import pending
from closeout.core.automation import Automation
from closeout.core.rules import compile_rules
from closeout.testing import deliveries
from closeout.testing.ministack import certificate
from closeout.testing.runtime_api import RuntimeApi

HERE = Path(__file__).resolve().parent
SECRET = "bench"
BUDGET = 55.0
"""Milliseconds from the start of the process to the first answer, one signed call over HTTPS among them."""
RULE = Automation(
    name="cleanup", triggers=({"event": "pull_request", "types": ["closed"], "branches": ["**"]},)
)
Times = dict[str, list[float]]


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        times = measure(Path(folder), options.rounds)
    text = report(times, options.rounds)
    if not options.only_starts:
        deployed = pending.measure(max(3, options.rounds // 4))
        text += f"\n\n{pending.report(deployed)}\n\nOver the stack on the emulated account of this machine."
        times |= deployed
    print(text)
    if options.keep:
        place = HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-cold"
        place.with_suffix(".md").write_text(text + "\n", "utf-8")
        place.with_suffix(".json").write_text(json.dumps(times, indent=1) + "\n", "utf-8")
        print(f"kept in bench/results/{place.name}.md")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-cold ARGS=…", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="cold starts of each")
    parser.add_argument(
        "--only-starts", action="store_true", help="without deploying the stack to the emulator"
    )
    parser.add_argument("--keep", action="store_true", help="keep the figures in bench/results")
    return parser.parse_args()


def measure(folder: Path, rounds: int) -> Times:
    """Give the milliseconds of each start, by `receiver: what`."""
    made = certificate.make(folder)
    command = [sys.executable, str(HERE / "cold_aws.py"), str(made.certificate), str(made.key), SECRET]
    stub = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert stub.stdout is not None
        environment = {
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{stub.stdout.readline().strip()}",
            "AWS_CA_BUNDLE": str(made.bundle),
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
        peers = receivers(folder)
        times: Times = {}
        for number in range(rounds + 1):
            for name, (code, handler) in peers.items():
                for what, event in _events(number).items():
                    taken = _start(code, handler, environment, event)
                    if number:  # the first round warms the file cache
                        for part, milliseconds in zip(("ready", what), taken, strict=True):
                            times.setdefault(f"{name}: {part}", []).append(milliseconds)
            print(f"round {number}/{rounds}", file=sys.stderr)
        return times
    finally:
        stub.terminate()
        stub.wait(10)


def receivers(folder: Path) -> dict[str, tuple[Path, str]]:
    """Give each receiver's folder and handler: the bundle that is deployed, and the others."""
    sys.path.insert(0, str(HERE.parent / "cdk"))
    from closeout_cdk import bundling

    bundle = bundling.Bundler(folder / "bundles").receiver(compile_rules((RULE,), ()))
    peers = {"empty handler": "empty_handler", "boto3 receiver": "boto_receiver"}
    found: dict[str, tuple[Path, str]] = {"closeout": (bundle.path, "closeout.lambdas.receive.handler")}
    for name, module in peers.items():
        place = folder / module
        place.mkdir()
        shutil.copy(HERE / "peers" / f"{module}.py", place)
        subprocess.run([sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(place)], check=True)  # fmt: skip
        found[name] = (place, f"{module}.handler")
    return found


def _events(number: int) -> dict[str, dict[str, Any]]:
    """Give what is sent: a ping (one call to AWS), and a delivery that starts a run."""
    sent: dict[str, Callable[[], Any]] = {"ping": deliveries.ping, "pull_request": deliveries.pull_request}
    events = {}
    for name, payload in sent.items():
        body = deliveries.encode(payload())
        headers = deliveries.signed_headers(name, body, SECRET, f"00000000-0000-4000-8000-{number:012d}")
        events[name] = {
            "httpMethod": "POST",
            "path": "/webhook",
            "headers": headers,
            "multiValueHeaders": {key: [value] for key, value in headers.items()},
            "body": body.decode(),
            "isBase64Encoded": False,
        }
    return events


def _start(code: Path, handler: str, environment: Mapping[str, str], event: Any) -> tuple[float, float]:
    """Give the milliseconds until the environment is ready, and until its first answer."""
    with RuntimeApi(code, handler, environment, python=sys.executable) as api:
        answer = api.invoke(event)
        if answer.kind != "response" or answer.payload["statusCode"] not in {200, 202}:
            raise RuntimeError(f"{handler} answered {answer.payload}")
        return (api.ready or 0.0) * 1000, (api.invoked + answer.seconds - api.began) * 1000


def report(times: Times, rounds: int) -> str:
    """Give the page: medians, and ratios to the empty handler."""
    about = (
        f"{rounds} starts of each: medians in milliseconds from the start of the process, under awslambdaric and Python"
        f" {platform.python_version()} on {platform.machine()}. AWS is a stub over HTTPS that answers at once."
    )
    missing = [f"Not measured, because not installed: {name}." for name in _missing()]
    return "\n".join(
        ["# Cold start of the receiver on AWS", "", about, "", table(times), "", budget(times), *missing]
    )


def budget(times: Times) -> str:
    """Say whether the budget holds."""
    ours = statistics.median(times["closeout: ping"])
    held = "holds" if ours < BUDGET else "**does not hold** on this machine"
    return f"Budget: {BUDGET:g} ms to the first answer with one signed call (a ping): {ours:.1f} ms, {held}."


def table(times: Times) -> str:
    """Give a row for each receiver."""
    names = list(dict.fromkeys(key.partition(": ")[0] for key in times if key.endswith(": ping")))
    middle = {key: statistics.median(values) for key, values in times.items()}
    lines = [
        "| receiver, ms from the start | ready | a ping answered | a delivery with a run answered | beside the empty handler |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in names:
        row = [middle[f"{name}: {part}"] for part in ("ready", "ping", "pull_request")]
        ratio = row[2] / middle["empty handler: pull_request"]
        lines.append(f"| {name} | {row[0]:.1f} | {row[1]:.1f} | {row[2]:.1f} | {ratio:.2f} × |")
    return "\n".join(lines)


def _missing() -> list[str]:
    """Give the peers that are measured only where they are installed."""
    known = {"aws_lambda_powertools": "Powertools for AWS Lambda"}
    missing = [name for module, name in known.items() if importlib.util.find_spec(module) is None]
    return [*missing, "probot's Lambda adapter (it needs Node.js's runtime client, which is compiled)"]


if __name__ == "__main__":
    sys.exit(main())
