"""The start of an environment, as Lambda does it: the module is imported, then called."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from closeout.core.rules import compile_rules
from tests.unit.lambdas.conftest import AUTOMATIONS
from tests.unit.lambdas.servers import Server

CODE = """
import threading
from closeout.lambdas.receive import handler
print(handler({"httpMethod": "GET"}, None)["statusCode"])
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)  # or the end of this process would end a connection that is being made
"""
VARIABLES = (
    "TABLE", "BUCKET", "WORKER", "WEBHOOK_SECRET", "GITHUB_SECRET", "CONFIG", "RECHECKS", "LOG_GROUP", "PUBLIC_URL",
)  # fmt: skip


def start(folder: Path, url: str) -> int:
    """Import the receiver in a process of its own; return the status of what it answers."""
    (folder / "rules.json").write_text(compile_rules(AUTOMATIONS, ()), "utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "LAMBDA_TASK_ROOT": str(folder),
        "CLOSEOUT_TABLE": "ledger",
        "CLOSEOUT_BUCKET": "bodies",
        "CLOSEOUT_WORKER": "worker",
        "CLOSEOUT_WEBHOOK_SECRET": "hook",
        "CLOSEOUT_RETENTION_DAYS": "90",
    }
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def test_a_start_opens_its_connections(servers: Callable[..., Server], tmp_path: Path) -> None:
    """On a thread: a request that needs no call does not wait for it."""
    server = servers(lambda _number, _connection: None)
    assert start(tmp_path, server.url) == 405
    until = time.monotonic() + 30
    while not server.connections and time.monotonic() < until:
        time.sleep(0.01)
    assert len(server.connections) == 1


def test_a_start_succeeds_without_an_answer(tmp_path: Path) -> None:
    """The request that needs an unreachable service reports it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    assert start(tmp_path, url) == 405


def imported(name: str) -> Any:
    """Import a module again, separately from the loaded one."""
    spec = importlib.util.find_spec(f"closeout.lambdas.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "function"), [("receive", "receiver"), ("guard", "own_guard"), ("run", "runtime")]
)
def test_shared_objects_are_made_while_the_environment_starts(
    name: str, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, while Lambda gives more of a processor. Without its variables, the import makes nothing."""
    (tmp_path / "rules.json").write_text(compile_rules(AUTOMATIONS, ()), "utf-8")
    for variable in VARIABLES:
        monkeypatch.delenv(f"CLOSEOUT_{variable}", raising=False)
    assert getattr(imported(name), function).cache_info().currsize == 0
    for variable in VARIABLES:
        monkeypatch.setenv(f"CLOSEOUT_{variable}", "x")
    monkeypatch.setenv("CLOSEOUT_API_URL", "https://api.github.com")
    monkeypatch.setenv("CLOSEOUT_RETENTION_DAYS", "90")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "worker")
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    module = imported(name)
    made = getattr(module, function)
    assert made.cache_info().currsize == 1
    if name != "run":
        assert module.handler({"httpMethod": "PUT"}, None)["statusCode"] == 405
    assert made() is made()
    assert made.cache_info().misses == 1
