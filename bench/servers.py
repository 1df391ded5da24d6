"""A server under measurement: started on a core of its own, watched through /proc, stopped with its children."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def pinned(core: int, command: list[str]) -> list[str]:
    """The command, kept on one core where the machine can do that, and before other programs where we may."""
    first = ["nice", "-n", "-15"] if os.geteuid() == 0 else []
    return [*first, *(["taskset", "-c", str(core)] if shutil.which("taskset") else []), *command]


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Start = Callable[[int, Path], list[str]]
"""Gives the command for a port; it runs in the folder, into which this may first write a configuration."""


@dataclass(frozen=True)
class Peer:
    """Something that receives deliveries at `POST /webhook`.

    `stores` says what is on the disk when it answers.
    """

    name: str
    stores: str
    command: Start
    environment: Mapping[str, str] = field(default_factory=dict)


class Server:
    """A running peer."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.port = free_port()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        command = pinned(SERVER_CORE, peer.command(self.port, folder))
        environment = {
            **os.environ,
            **peer.environment,
            "BENCH_PORT": str(self.port),
            "NODE_ENV": "production",
        }
        # Elsewhere it is not set, and Python compiles what it imports once: a start that compiles is no start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._output = (folder / "output.txt").open("wb")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def first_answer(self, request: bytes, timeout: float = 30) -> float:
        """Seconds from the start of the process to the first 2xx."""
        while time.perf_counter() - self.started < timeout:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    connection.sendall(request)
                    status = connection.recv(4096)[9:12]
            except OSError:
                time.sleep(0.002)
                continue
            if status.startswith(b"2"):
                return time.perf_counter() - self.started
            break
        raise RuntimeError(f"no 2xx: {self.output()}")

    def output(self) -> str:
        """The end of what the server wrote."""
        return (self.folder / "output.txt").read_text("utf-8", "replace")[-2000:]

    def processes(self) -> list[int]:
        """The server's process and all below it."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    queue += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                continue
        return found

    def cpu(self) -> float:
        """CPU seconds so far, of finished children too."""
        total = 0
        for pid in self.processes():
            fields = _stat(pid)
            total += sum(int(ticks) for ticks in fields[11:15])
        return total / TICK

    def memory(self) -> float:
        """Resident memory in MB (10^6 bytes)."""
        return sum(int(fields[21]) for pid in self.processes() if (fields := _stat(pid))) * PAGE / 1e6

    def stop(self) -> None:
        """End the process group, politely at first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._output.close()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the program's name (see proc(5)); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
