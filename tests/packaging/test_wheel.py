"""The built wheel works where nothing of the checkout is in reach: that is what people install.

One wheel is built and installed once, with the locked runtime requirements only, into a fresh environment.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.tree import ROOT, files

pytestmark = pytest.mark.timeout(300)
SECRET = "a secret of the smoke test"
SYSTEMD = shutil.which("systemd-analyze")
CONFIG = """\
version: 1
secrets:
  webhook: env:CLOSEOUT_WEBHOOK_SECRET
automations:
  greet:
    on: { push: {} }
    repositories: [sample/smoke]
    status: false
    steps:
      - uses: shell
        id: greet
        destructive: false
        with: { run: 'echo "hello from the installed wheel"' }
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without fetching anything."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment that holds the wheel and the locked runtime, nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements/runtime.txt")], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    return folder / "bin"


@pytest.fixture
def closeout(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed `closeout` in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "closeout"), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
        )

    return run


def environment() -> dict[str, str]:
    """The environment of a user who has nothing set but the secret; nothing leads back to the checkout."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "CLOSEOUT_WEBHOOK_SECRET": SECRET}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    """SQL, templates, the typing marker and the man pages are in the wheel; tests and docs are not."""
    package = ROOT / "src"
    expected = {path.relative_to(package).as_posix() for path in files() if path.is_relative_to(package)}
    names = zipfile.ZipFile(wheel).namelist()
    man = {path.name for path in files() if path.is_relative_to(ROOT / "docs/man")}
    assert {Path(name).name for name in names if ".data/data/share/man/man1/" in name} == man
    assert {name for name in names if ".dist-info/" not in name and ".data/" not in name} == expected
    assert "closeout/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_installed_requirements_agree_with_the_metadata(installed: Path) -> None:
    """The locked runtime satisfies what the wheel says it needs."""
    command = [str(installed / "python"), "-m", "pip", "--disable-pip-version-check", "check"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.skipif(
    SYSTEMD is None, reason="no systemd-analyze on the PATH: on Debian, `apt-get install systemd`"
)
def test_systemd_accepts_the_unit_of_the_package(installed: Path, tmp_path: Path) -> None:
    """The installed unit has no key or value that systemd complains about, and starts a program that exists."""
    (shipped,) = installed.parent.glob("lib/python3*/site-packages/closeout/closeout.service")
    unit = tmp_path / "closeout.service"
    unit.write_text(shipped.read_text("utf-8").replace("/opt/closeout/bin", str(installed)), "utf-8")
    assert SYSTEMD is not None
    verified = subprocess.run([SYSTEMD, "verify", "--man=no", str(unit)], capture_output=True, text=True)
    complaints = [line for line in verified.stderr.splitlines() if "closeout" in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr


def test_the_page_about_production_starts_what_the_unit_starts() -> None:
    """Folders and variables of the unit are those that the page makes."""
    unit = (ROOT / "src/closeout/closeout.service").read_text("utf-8")
    page = (ROOT / "docs/how-to/run-for-real.md").read_text("utf-8")
    paths = re.findall(r"(?m)^(?:ExecStart|EnvironmentFile)=(/\S+)|--(?:config|db) (\S+)", unit)
    named = [path for pair in paths for path in pair if path]
    assert len(named) == 4
    assert [path for path in named if path not in page] == []
    assert "python3 -m venv /opt/closeout\n" in page
    assert "PUBLIC_URL=https://" in page
    assert "${PUBLIC_URL}" in unit


def test_the_command_says_its_version(closeout: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`closeout --version` names the version of the metadata."""
    told = closeout("--version")
    assert told.returncode == 0, told.stderr
    assert re.search(r"\b\d+\.\d+\.\d+", told.stdout), told.stdout


def test_the_manual_is_installed_where_man_looks(installed: Path) -> None:
    """A page for each command, below the environment's share/man."""
    pages = {page.name for page in (installed.parent / "share/man/man1").iterdir()}
    assert {"closeout.1", "closeout-serve.1", "closeout-runs.1"} <= pages


def test_the_configuration_that_init_writes_is_accepted(
    closeout: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """`init` and then `check`: the first two commands of a newcomer."""
    assert closeout("init").returncode == 0
    checked = closeout("check", str(tmp_path / "closeout.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_signed_delivery_is_stored_and_its_run_succeeds(
    installed: Path, closeout: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The installed server answers 202 and the run's verdict is read back by the installed command."""
    (tmp_path / "closeout.yaml").write_text(CONFIG, "utf-8")
    with serving(installed, tmp_path) as url:
        answer = deliver(f"{url}/webhook")
        (run,) = answer["runs"]
        shown = settled(closeout)
    assert shown["id"] == run
    assert shown["verdict"] == "success", shown
    assert "hello from the installed wheel" in closeout("runs", "logs", run, "--db", "ledger.db").stdout


@contextmanager
def serving(programs: Path, folder: Path) -> Iterator[str]:
    """Run `closeout serve` until the block ends; yield its URL."""
    arguments = [
        "serve",
        "--config",
        "closeout.yaml",
        "--db",
        "ledger.db",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    server = subprocess.Popen(
        [str(programs / "closeout"), *arguments],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    try:
        for line in server.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        else:
            pytest.fail("closeout serve ended before it said where it listens")
    finally:
        server.terminate()
        server.communicate(timeout=20)


def deliver(url: str) -> dict[str, Any]:
    """Send one signed push; return the decoded answer."""
    body = json.dumps(
        {
            "ref": "refs/heads/main",
            "after": "1" * 40,
            "deleted": False,
            "commits": [],
            "repository": {"id": 1, "full_name": "sample/smoke", "private": False},
            "sender": {"login": "somebody"},
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "5a1c6f52-0000-4000-8000-000000000001",
        "X-GitHub-Hook-ID": "1",
        "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
    }
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        assert answer.status == 202
        decoded: dict[str, Any] = json.load(answer)
        return decoded


def settled(closeout: Callable[..., subprocess.CompletedProcess[str]]) -> dict[str, Any]:
    """The one run, once it has finished."""
    for _ in range(60):
        listed: list[dict[str, Any]] = json.loads(
            closeout("runs", "list", "--db", "ledger.db", "--json").stdout
        )
        if listed and listed[0]["state"] == "finished":
            return listed[0]
        time.sleep(0.1)
    pytest.fail(f"the run has not finished: {listed}")
