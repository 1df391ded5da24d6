"""What the benchmark needs besides the product: installed on first use, never into its environment.

The peers have their own virtual environment and their own `node_modules`; Debian's packages are unpacked into a
folder where that is enough, so that no service of theirs is set up on the machine.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
PEERS = BENCH / "peers"
WORK = BENCH / ".work"
UNPACKED = BENCH / ".tools"
VENV = ROOT / ".venv-bench"
PEER_PYTHON = VENV / "bin/python"


def install() -> list[str]:
    """Install what is missing; return a sentence for each thing that cannot be had here."""
    WORK.mkdir(exist_ok=True)
    missing = []
    if not shutil.which("taskset"):
        missing.append(
            "taskset is not installed (util-linux): nothing is pinned to a core, so the ratios mean less"
        )
    _python_peers()
    missing += [
        *_node_peers(),
        *_wrk(),
        *_unpack("webhook", "usr/bin/webhook"),
        *_unpack("nginx", "usr/sbin/nginx"),
    ]
    return missing


def program(name: str) -> str | None:
    """The path of a program, installed or unpacked here; None when there is none."""
    for folder in ("usr/bin", "usr/sbin"):
        if (UNPACKED / folder / name).is_file():
            return str(UNPACKED / folder / name)
    return shutil.which(name)


def _python_peers() -> None:
    requirements = ROOT / "requirements/bench.txt"
    if _stamped(VENV / ".installed", requirements):
        return
    print(f"installing the Python peers into {VENV.name}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(PEER_PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
    _stamp(VENV / ".installed", requirements)


def _node_peers() -> list[str]:
    unavailable = install_node(BENCH)
    return [f"{unavailable}: @octokit/webhooks and probot are not measured"] if unavailable else []


def install_node(folder: Path) -> str:
    """Install the locked packages of a folder there; say what is missing for that, if anything is."""
    if not (shutil.which("npm") and shutil.which("node")):
        return "Node.js and npm are not installed"
    lock = folder / "package-lock.json"
    if not _stamped(folder / "node_modules/.installed", lock):
        print(f"installing the Node.js peers into {folder.relative_to(ROOT)}/node_modules", file=sys.stderr)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True)
        _stamp(folder / "node_modules/.installed", lock)
    return ""


def _wrk() -> list[str]:
    if shutil.which("wrk"):
        return []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _refresh_package_lists()
        command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "wrk"]
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0:
            return []
    return ["wrk is not installed, and it is the load (on Debian, as root: apt-get install wrk)"]


def _unpack(package: str, binary: str) -> list[str]:
    """Have Debian's package at hand without installing it: its services stay off this machine."""
    if program(Path(binary).name):
        return []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        UNPACKED.mkdir(exist_ok=True)
        _refresh_package_lists()
        quiet: dict[str, Any] = {"cwd": UNPACKED, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # apt's own unprivileged user may not write here, which is a warning and no failure.
        if subprocess.run(["apt-get", "download", package], check=False, **quiet).returncode == 0:
            (archive,) = UNPACKED.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", str(archive), "."], **quiet, check=True)
            if (UNPACKED / binary).is_file():
                return []
    return [f"{package} is not installed (on Debian, as root: apt-get install {package}): it is not measured"]


@cache
def _refresh_package_lists() -> None:
    subprocess.run(["apt-get", "update", "-qq"], stdout=subprocess.DEVNULL, check=False)


def _stamped(stamp: Path, source: Path) -> bool:
    return stamp.is_file() and stamp.read_text("utf-8") == _digest(source)


def _stamp(stamp: Path, source: Path) -> None:
    stamp.write_text(_digest(source), "utf-8")


def _digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()
