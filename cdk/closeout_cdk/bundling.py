"""Build the bundles, which Lambda unpacks into `/var/task`.

This does not use CDK's own bundling, which needs Docker, because pip can install for another platform than its own.
The same inputs produce the same bytes, so that a deployment without changes changes nothing: files are copied without
times, `.pyc` are compiled in one order with `unchecked-hash`, and pip's notes about this machine are removed.
Finished bundles are cached in `.bundles/` under a hash of their inputs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from closeout_cdk import imports
from closeout_cdk.parameters import ROOT, ParameterError

REPOSITORY = ROOT.parent
SOURCES = REPOSITORY / "src"
WORKER_REQUIREMENTS = REPOSITORY / "requirements" / "worker.txt"
GUARD_REQUIREMENTS = REPOSITORY / "requirements" / "guard.txt"
NOTIFY_REQUIREMENTS = REPOSITORY / "requirements" / "notify.txt"
CACHE = ROOT / ".bundles"
CONFIG = "closeout.yaml"
LIBRARIES = "libraries"
"""A stage of the worker's and the guard's bundles; it is not zipped on its own."""
ABANDONED = 3600.0
"""Seconds after which an unfinished bundle is abandoned."""
KEPT = 12
"""Bundles that stay in the cache; the oldest are deleted."""

LAMBDA_LIMIT = 250 * 1024 * 1024
"""Bytes, unpacked: Lambda's own limit."""

RECEIVER_ENTRY = ("closeout.lambdas.receive",)
RECEIVER_WITHOUT = ("closeout.intake.decode",)
"""The local receiver's decoder, which needs msgspec."""
GUARD_ENTRY = ("closeout.lambdas.guard",)
GUARD_WITHOUT = ("closeout.ledger.problems",)
"""The code for the end of a run, because the guard ends none."""
GUARD_LIBRARIES = ("boto3", "botocore", "jwt")
"""Other imports of the guard's modules: PyJWT is in its bundle, and Lambda itself has boto3."""
NOTIFY_ENTRY = ("closeout.lambdas.notify",)
NOTIFY_WITHOUT = ("closeout.ledger.problems", "closeout.wiring.clients")
"""The code for the end of a run, and a server's clients: the function ends no run, and has no configuration file."""
NOTIFY_LIBRARIES = ("apprise", "boto3", "botocore")
"""Other imports of its modules: apprise is in its bundle, and Lambda itself has boto3, which only a topic needs."""
WORKER_LEFT_OUT = ("cli", "server", "testing")
"""Subpackages of closeout that the worker never imports."""
_PLATFORM = {"arm64": "aarch64", "x86_64": "x86_64"}
_SKIPPED = {"__pycache__", "node_modules", "cdk.out", "dist", "build"}
_NOT_FOR_LAMBDA = ("bin", "bazel-project")
"""Scripts that name this machine's Python, and the tests and build files in cel-expr-python's wheel."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A finished bundle. `hash` covers all its paths, modes and bytes; sizes are in bytes."""

    name: str
    path: Path
    hash: str
    unpacked: int
    zipped: int
    fresh: bool

    def line(self) -> str:
        """Return a line with its size."""
        made = "made" if self.fresh else "unchanged"
        return f"{self.name} bundle: {_size(self.zipped)} zipped, {_size(self.unpacked)} unpacked ({made})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target of a bundle: Lambda on one architecture, or (`host`) the machine of an emulator."""

    architecture: str
    host: bool = False

    def pip_options(self) -> list[str]:
        """Return pip's options for wheels of this target."""
        if self.host:
            return []
        machine = _PLATFORM[self.architecture]
        tags = [f"manylinux_2_{minor}_{machine}" for minor in (34, 28, 17)] + [f"manylinux2014_{machine}"]
        return [
            *(option for tag in tags for option in ("--platform", tag)),
            *("--python-version", "3.13", "--implementation", "cp"),
            *(option for abi in ("cp313", "abi3", "none") for option in ("--abi", abi)),
        ]

    def key(self) -> str:
        """Return text that differs for every target."""
        return f"host {sys.platform} {os.uname().machine}" if self.host else self.architecture


class Bundler:
    """Builds bundles, and keeps them in `cache` under a hash of their inputs.

    `lock` names the worker's libraries, without the user's.
    """

    def __init__(self, cache: Path = CACHE, lock: Path = WORKER_REQUIREMENTS) -> None:
        self._cache = cache
        self._lock = lock

    def receiver(self, rules: str) -> Bundle:
        """Build the receiver's bundle: what its handler imports from closeout, and the compiled rules."""
        files = imports.closure(RECEIVER_ENTRY, SOURCES, RECEIVER_WITHOUT)
        inputs = _contents(files) | {"rules.json": rules.encode()}

        def make(folder: Path) -> None:
            _write_all(folder, inputs)

        return self._made("receiver", inputs.items(), make)

    def guard(self, target: Target) -> Bundle:
        """Build the guard's bundle: what its handler imports from closeout, and libraries to verify tokens."""
        files = imports.closure(GUARD_ENTRY, SOURCES, GUARD_WITHOUT, GUARD_LIBRARIES)
        return self._small("guard", files, GUARD_REQUIREMENTS, target)

    def notify(self, target: Target) -> Bundle:
        """Build the bundle of the notifier: what its handler imports from closeout, and libraries to send messages to URLs."""
        files = imports.closure(NOTIFY_ENTRY, SOURCES, NOTIFY_WITHOUT, NOTIFY_LIBRARIES)
        return self._small("notify", files, NOTIFY_REQUIREMENTS, target)

    def _small(self, name: str, files: Iterable[Path], lock: Path, target: Target) -> Bundle:
        """Build a bundle from these files and locked libraries."""
        contents = _contents(files)
        inputs = {"target": target.key().encode(), "lock": lock.read_bytes(), **contents}

        def make(folder: Path) -> None:
            shutil.copytree(
                self._libraries([lock], target), folder, copy_function=os.link, dirs_exist_ok=True
            )
            _write_all(folder, contents)

        return self._made(name, inputs.items(), make)

    def worker(self, config: Path, code: Path | None, requirements: Path | None, target: Target) -> Bundle:
        """Build the worker's bundle: libraries, closeout, the user's libraries and code, the configuration.

        Raises `ParameterError` for requirements that pip refuses (without hashes, or in conflict with the worker's), for code that
        hides a library, and for a bundle that is too large.
        """
        own = dict(_tree(SOURCES / "closeout", skip=WORKER_LEFT_OUT))
        users = dict(_tree(code)) if code is not None else {}
        locks = [self._lock, *([requirements] if requirements is not None else [])]
        inputs = [
            ("target", target.key().encode()),
            *((f"lock {number}", lock.read_bytes()) for number, lock in enumerate(locks)),
            *((f"closeout/{name}", path.read_bytes()) for name, path in own.items()),
            *((f"code/{name}", _mode(path) + path.read_bytes()) for name, path in users.items()),
            (CONFIG, config.read_bytes()),
        ]

        def make(folder: Path) -> None:
            libraries = self._libraries(locks, target)
            shutil.copytree(libraries, folder, copy_function=os.link, dirs_exist_ok=True)
            taken = {entry.name for entry in folder.iterdir()} | {"closeout"}
            for name, path in own.items():
                _write(folder / "closeout" / name, path.read_bytes())
            for name, path in users.items():
                _check_free(name, taken)
                _write(folder / name, path.read_bytes(), executable=_mode(path) == b"x")
            _write(folder / CONFIG, config.read_bytes())
            _compile(folder)

        bundle = self._made("worker", inputs, make)
        if bundle.unpacked > LAMBDA_LIMIT:
            raise ParameterError(
                f"the worker's bundle is {_size(bundle.unpacked)} unpacked, Lambda takes 250 MB"
            )
        return bundle

    def libraries_here(self, requirements: Path) -> Path:
        """Return a folder with the user's libraries for this machine, because synth imports their modules."""
        return self._libraries([requirements], Target(architecture="", host=True))

    def _libraries(self, locks: list[Path], target: Target) -> Path:
        """Return a folder with installed and compiled libraries; it depends on the locks only, not on closeout's code."""
        for lock in locks:
            _check_lock(lock)
        inputs = [("target", target.key().encode()), *((lock.name, lock.read_bytes()) for lock in locks)]

        def make(folder: Path) -> None:
            _install(locks, folder, target)
            _compile(folder)

        return self._made(LIBRARIES, inputs, make).path

    def _made(self, name: str, inputs: Iterable[tuple[str, bytes]], make: Callable[[Path], None]) -> Bundle:
        """Return the bundle of these inputs; build it if it is not in the cache."""
        place = self._cache / f"{name}-{_key(name, inputs)[:32]}"
        fresh = not (place / "stamp").exists()
        if fresh:
            self._cache.mkdir(exist_ok=True, parents=True)
            with tempfile.TemporaryDirectory(dir=self._cache, prefix=".making-") as temporary:
                done, archive = Path(temporary, "done"), Path(temporary, "zip")
                content = done / "content"
                content.mkdir(parents=True)
                make(content)
                size = 0 if name == LIBRARIES else _zipped(content, archive)
                stamp = f"{_hash(content)} {_unpacked(content)} {size}"
                (done / "stamp").write_text(stamp)
                _settle(done, place)
            self._forget(name)
        digest, unpacked, zipped = (place / "stamp").read_text().split()
        os.utime(place / "stamp")
        return Bundle(
            name=name,
            path=place / "content",
            hash=digest,
            unpacked=int(unpacked),
            zipped=int(zipped),
            fresh=fresh,
        )

    def _forget(self, name: str) -> None:
        """Delete all but the most recently used bundles."""
        stamps = sorted(self._cache.glob(f"{name}-*/stamp"), key=lambda path: -path.stat().st_mtime)
        for stamp in stamps[KEPT:]:
            shutil.rmtree(stamp.parent, ignore_errors=True)
        for left in self._cache.glob(".making-*"):  # left by a synthesis that was killed
            if left.stat().st_mtime < time.time() - ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def code_files(code: Path) -> Iterator[tuple[str, Path]]:
    """Return the user's files for the bundle, by their path in it."""
    return _tree(code)


# --- building ---------------------------------------------------------------------------------------------------


def _settle(done: Path, place: Path) -> None:
    """Move a finished bundle into the cache, unless another process has stored the same bundle first."""
    try:
        done.rename(place)
    except OSError:
        if not (place / "stamp").exists():
            raise


def _check_lock(lock: Path) -> None:
    """Raise `ParameterError` for an option in locked requirements, because another file or an index is not part of the inputs."""
    for line in lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("-"):
            raise ParameterError(
                f"{lock.name}: `{line.split()[0]}` cannot be used; the file lists packages only"
                " (for an index, set PIP_INDEX_URL)"
            )


def _install(locks: list[Path], folder: Path, target: Target) -> None:
    """Install hashed wheels with pip, and remove its notes about this machine. Raises `ParameterError`."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-compile", "--require-hashes", "--only-binary", ":all:", "--target", str(folder)]
    command += target.pip_options()
    command += [part for lock in locks for part in ("--requirement", str(lock))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if result.returncode:
        last = [line.strip() for line in result.stderr.splitlines() if line.strip()][-3:]
        names = " and ".join(lock.name for lock in locks)
        raise ParameterError(
            f"{names} cannot be installed for {target.key()}: {' / '.join(last)}. Make the file with"
            f" `uv pip compile --generate-hashes -c requirements/{WORKER_REQUIREMENTS.name}`."
        )
    for name in _NOT_FOR_LAMBDA:
        shutil.rmtree(folder / name, ignore_errors=True)
    for info in folder.glob("*.dist-info"):
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            (info / name).unlink(missing_ok=True)


def _check_free(name: str, taken: set[str]) -> None:
    """Raise `ParameterError` if a user's file would shadow a library of the same name."""
    top = name.partition("/")[0]
    if top in taken or top.removesuffix(".py") in taken:
        raise ParameterError(f"codePath: `{top}` hides a package of that name in the bundle; rename it")


_COMPILE = """
import compileall, os, sys
from py_compile import PycInvalidationMode
folder = sys.argv[1]
for name in sys.stdin.read().splitlines():
    compileall.compile_file(os.path.join(folder, name), quiet=2, force=True, stripdir=folder, prependdir="/var/task",
                            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
"""


def _compile(folder: Path) -> None:
    """Compile the remaining files to `.pyc` that Python uses without checking the source's time or content.

    A file that does not compile is left unchanged: libraries contain templates, and tests for other versions.
    """
    found = [path for path in _files(folder) if path.suffix == ".py" and not _compiled(path).exists()]
    names = "\n".join(str(path.relative_to(folder)) for path in found)
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",  # they are about libraries' tests
    }
    command = [sys.executable, "-c", _COMPILE, str(folder)]
    subprocess.run(  # noqa: S603 - our own interpreter
        command, input=names, text=True, check=True, env=environment, stdout=subprocess.DEVNULL
    )


def _compiled(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"


# --- files ------------------------------------------------------------------------------------------------------


def _tree(root: Path, skip: Iterable[str] = ()) -> Iterator[tuple[str, Path]]:
    """Yield the files below `root` in order, by their path below it, without hidden and generated ones."""
    left_out = {root / name for name in skip}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") or part in _SKIPPED for part in parts) or path.suffix == ".pyc":
            continue
        if left_out.intersection(path.parents) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root.resolve()):
            raise ParameterError(f"{path} is a link to a file outside of {root.name}; copy it there")
        yield "/".join(parts), path


def _contents(files: Iterable[Path]) -> dict[str, bytes]:
    return {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in files}


def _write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        _write(folder / name, content)
    _compile(folder)


def _write(path: Path, content: bytes, *, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)


def _mode(path: Path) -> bytes:
    return b"x" if path.stat().st_mode & 0o100 else b"-"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _key(name: str, inputs: Iterable[tuple[str, bytes]]) -> str:
    made_by = Path(__file__).read_bytes()  # other code here builds another bundle
    digest = hashlib.sha256(f"{name} {sys.version} {sys.implementation.cache_tag}\n".encode() + made_by)
    for label, content in inputs:
        digest.update(f"{label} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(folder):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {_mode(path)!r} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _unpacked(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _zipped(folder: Path, place: Path) -> int:
    """Return the size of the folder as a zip file."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in _files(folder):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return place.stat().st_size


def _size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{count / 1000:.1f} kB"
