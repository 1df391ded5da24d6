"""What the worker and the handler of failed executions import: only what their bundle contains."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
FILE = """\
version: 1
automations:
  tidy:
    on: { push: {} }
    if: event.ref == "refs/heads/main"
    steps: [{ uses: shell, destructive: false, with: { argv: ['true'] } }]
"""
PROGRAM = """\
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import closeout.lambdas.failed_executions
from closeout.wiring.stack_runtime import open_stack_runtime

runtime = open_stack_runtime({{
    "LAMBDA_TASK_ROOT": "{root}", "CLOSEOUT_CONFIG": "closeout.yaml", "CLOSEOUT_TABLE": "t", "CLOSEOUT_BUCKET": "b",
    "CLOSEOUT_GITHUB_SECRET": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x", "CLOSEOUT_LOG_GROUP": "g",
    "CLOSEOUT_RETENTION_DAYS": "30", "CLOSEOUT_API_URL": "https://api.github.com", "AWS_REGION": "us-east-1", "AWS_LAMBDA_FUNCTION_NAME": "worker",
}})
runtime.deps.clients.secrets, runtime.deps.clients.http
import closeout.adapters.github
from closeout.config import cel
assert cel.condition('event.ref == "refs/heads/main"', {{"ref": "refs/heads/main"}})
assert "closeout.ledger.sqlite" not in sys.modules
"""


def bundled() -> set[str]:
    """The packages that the bundle is made of, with what they need."""
    text = (ROOT / "requirements/worker.txt").read_text("utf-8")
    return set(re.findall(r"(?m)^([A-Za-z0-9_.-]+)==", text))


def test_nothing_outside_the_bundle_is_imported(tmp_path: Path) -> None:
    """The receiver's fast decoder, SQLite's compression, the server and the command line stay out of Lambda."""
    (tmp_path / "closeout.yaml").write_text(FILE, encoding="utf-8")
    absent = {"msgspec", "lz4", "click", "starlette", "uvloop", "httptools", "jinja2"}
    assert not absent & bundled()
    program = PROGRAM.format(absent=absent, root=tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src"), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_only_the_drivers_of_executions_import_the_durable_sdk() -> None:
    """If it changes, only these modules have to follow."""
    users = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "src").rglob("*.py"))
        if re.search(r"(?m)^\s*(from|import) aws_durable_execution_sdk_python", path.read_text("utf-8"))
    ]
    assert users == [f"src/closeout/lambdas/{name}.py" for name in ("patrol", "rechecks", "worker")]
