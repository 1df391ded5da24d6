"""The bundles: small, reproducible, compiled for the target, and complete in themselves."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from closeout_cdk import bundling, imports
from closeout_cdk.bundling import Bundle, Bundler, Target
from closeout_cdk.parameters import ParameterError

HOST = Target(architecture="", host=True)
RULES = json.dumps({"rules": [], "contexts": []})
RECEIVER_LIMIT = 200_000
MODULES_NOT_IN_A_COLD_START = (
    "dataclasses",
    "inspect",
    "asyncio",
    "logging",
    "boto3",
    "botocore",
    "msgspec",
    "urllib.request",
)
UNCHECKED = 0b01
"""A .pyc's flags: by hash, and the hash is not looked at (PEP 552)."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "closeout.yaml"
    path.write_text(
        "version: 1\nautomations:\n  a:\n    on: push\n    steps: [{ uses: github/comment, with: { body: x } }]\n"
    )
    return path


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundler(tmp_path_factory.mktemp("receiver")).receiver(RULES)


@pytest.fixture(scope="module")
def worker(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundler(tmp_path_factory.mktemp("worker")).worker(config, None, None, HOST)


def unpacked(bundle: Bundle, folder: Path) -> Path:
    """Return a copy with other times, as Lambda unpacks it: a zip file has times of 1980."""
    place = folder / "task"
    shutil.copytree(bundle.path, place)
    for path in place.rglob("*"):
        os.utime(path, (315_532_800, 315_532_800))
    return place


def python(place: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Python with nothing but its own library and the bundle."""
    command = [
        sys.executable,
        "-I",
        "-S",
        *options,
        "-c",
        f"import sys; sys.path.insert(0, {str(place)!r}); {code}",
    ]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=place, env={"LAMBDA_TASK_ROOT": str(place)}
    )


def loaded_from_sources(errors: str, place: Path) -> list[str]:
    """Return the modules below `place` that Python compiled or wrote, according to `-v`."""
    lines = [line for line in errors.splitlines() if str(place) in line]
    assert any("code object from" in line for line in lines), "nothing was imported from the bundle"
    return [
        line
        for line in lines
        if ("code object from" in line and ".pyc" not in line) or line.startswith("# wrote")
    ]


# --- the receiver -----------------------------------------------------------------------------------------------


def test_the_receivers_bundle_is_small_and_holds_what_it_imports(receiver: Bundle) -> None:
    """Under 200 KB, and nothing but the handler, what it imports, and the rules."""
    assert receiver.zipped < RECEIVER_LIMIT, f"{receiver.zipped:,} bytes"
    names = {
        path.relative_to(receiver.path).as_posix() for path in receiver.path.rglob("*") if path.is_file()
    }
    closure = imports.closure(bundling.RECEIVER_ENTRY, bundling.SOURCES, bundling.RECEIVER_WITHOUT)
    sources = {path.relative_to(bundling.SOURCES).as_posix() for path in closure}
    assert {name for name in names if not name.endswith(".pyc")} == sources | {"rules.json"}
    parts = ("adapters", "core", "intake", "lambdas", "stack")
    packages = {"closeout", *(f"closeout/{part}" for part in parts)}
    assert {str(Path(name).parent) for name in sources} == packages


def test_the_receiver_starts_without_what_is_slow_to_import(receiver: Bundle, tmp_path: Path) -> None:
    """Each of these costs milliseconds of every cold start."""
    place = unpacked(receiver, tmp_path)
    done = python(place, "import closeout.lambdas.receive; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    assert not set(MODULES_NOT_IN_A_COLD_START) & set(done.stdout.split())


def test_the_receiver_is_never_compiled_again(receiver: Bundle, tmp_path: Path) -> None:
    """Whatever the times of its files are."""
    place = unpacked(receiver, tmp_path)
    done = python(place, "import closeout.lambdas.receive", "-v")
    assert done.returncode == 0, done.stderr[-500:]
    assert loaded_from_sources(done.stderr, place) == []


def test_the_receiver_answers_from_its_bundle_alone(receiver: Bundle, tmp_path: Path) -> None:
    """An unsigned request needs no AWS, so it can be asked here."""
    place = unpacked(receiver, tmp_path)
    code = (
        "import os; os.environ.update(CLOSEOUT_TABLE='t', CLOSEOUT_BUCKET='b', CLOSEOUT_WORKER='w',"
        " CLOSEOUT_WEBHOOK_SECRET='s', CLOSEOUT_RETENTION_DAYS='30', AWS_REGION='eu-central-1',"
        " AWS_ACCESS_KEY_ID='a', AWS_SECRET_ACCESS_KEY='b', AWS_ENDPOINT_URL='http://127.0.0.1:9');"
        "from closeout.lambdas.receive import handler;"
        "print(handler({'httpMethod': 'POST', 'headers': {}, 'body': '{}'}, None)['body'])"
    )
    done = python(place, code)
    assert done.returncode == 0, done.stderr
    assert '"unauthorized"' in done.stdout.splitlines()[-1]
    assert "Unauthorized request" in done.stdout.splitlines()[-1]


def test_the_same_inputs_give_the_same_receiver(receiver: Bundle, tmp_path: Path) -> None:
    """To the byte; other rules give another."""
    again = Bundler(tmp_path / "again").receiver(RULES)
    assert again.fresh
    assert again.hash == receiver.hash
    assert Bundler(tmp_path / "other").receiver(RULES + " ").hash != receiver.hash


# --- the worker -------------------------------------------------------------------------------------------------


def test_the_same_inputs_give_the_same_worker(worker: Bundle, config: Path, tmp_path: Path) -> None:
    """Installed, copied and compiled again in another folder: a deployment without changes changes nothing."""
    again = Bundler(tmp_path / "elsewhere").worker(config, None, None, HOST)
    assert again.fresh
    assert again.hash == worker.hash


def test_a_bundle_that_is_there_is_taken(worker: Bundle, config: Path) -> None:
    """`make synth` takes seconds because of it."""
    cache = worker.path.parent.parent
    first, again = (Bundler(cache).worker(config, None, None, HOST) for _ in range(2))
    assert not again.fresh
    assert (again.path, again.hash) == (first.path, first.hash)


def test_the_worker_needs_nothing_beside_its_bundle_and_is_never_compiled_again(
    worker: Bundle, tmp_path: Path
) -> None:
    """Handlers, actions, CEL and the configuration, with Python's own library and no site-packages."""
    place = unpacked(worker, tmp_path)
    code = (
        "import closeout.lambdas.run, closeout.lambdas.worker, closeout.lambdas.failed_executions;"
        "from closeout.actions.registry import builtin; from closeout.config.load import load;"
        "print(load('closeout.yaml', builtin()).automations[0].name)"
    )
    done = python(place, code, "-v")
    assert done.returncode == 0, done.stderr[-800:]
    assert done.stdout.strip() == "a"
    assert loaded_from_sources(done.stderr, place) == []


def test_compiled_files_are_for_this_python_and_unchecked(worker: Bundle) -> None:
    """PEP 552: by hash, and the hash is not compared with the source."""
    found = [*worker.path.glob("closeout/**/*.pyc"), *worker.path.glob("boto3/**/*.pyc")]
    assert found
    for path in found:
        magic, flags = struct.unpack("<4sI", path.read_bytes()[:8])
        assert path.name.endswith(f".{sys.implementation.cache_tag}.pyc")
        assert flags == UNCHECKED, path
        assert magic == __import__("importlib.util").util.MAGIC_NUMBER


def test_the_bundle_says_nothing_about_the_machine_that_made_it(worker: Bundle) -> None:
    """No scripts with this Python's path, no notes of pip's, and code objects with Lambda's paths."""
    assert not (worker.path / "bin").exists()
    assert not [*worker.path.glob("*.dist-info/RECORD"), *worker.path.glob("*.dist-info/direct_url.json")]
    for path in worker.path.rglob("*.pyc"):
        content = path.read_bytes()
        assert str(worker.path).encode() not in content, path
    compiled = (
        worker.path / "closeout" / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc"
    ).read_bytes()
    assert b"/var/task/closeout/__init__.py" in compiled


def test_only_what_the_worker_reaches_of_closeout_is_in_it(worker: Bundle) -> None:
    """The command line, the server and the fakes stay at home."""
    folders = {path.name for path in (worker.path / "closeout").iterdir() if path.is_dir()}
    assert not {"cli", "server", "testing"} & folders
    assert {
        "actions",
        "adapters",
        "config",
        "core",
        "engine",
        "lambdas",
        "ledger",
        "run",
        "stack",
        "wiring",
    } <= folders


def test_the_size_is_told(worker: Bundle, receiver: Bundle) -> None:
    """In a line that `make synth` prints."""
    assert receiver.line().startswith("receiver bundle: ")
    assert " kB zipped, " in receiver.line()
    assert " MB zipped, " in worker.line()


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", 183), ("x86_64", 62)])
def test_wheels_are_those_of_the_target(architecture: str, machine: int, config: Path) -> None:
    """On any machine: byte 18 of an ELF file says what it was built for."""
    bundle = Bundler().worker(config, None, None, Target(architecture=architecture))
    libraries = list(bundle.path.rglob("*.so"))
    assert libraries
    for path in libraries:
        assert struct.unpack("<H", path.read_bytes()[18:20])[0] == machine, path.name


# --- the user's own ---------------------------------------------------------------------------------------------


def lock_of(name: str, version: str, source: Path = bundling.WORKER_REQUIREMENTS) -> str:
    """Return a package's lines out of our own lock, under another version if it is another."""
    lines = source.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = next(
        number for number in range(start + 1, len(lines)) if not lines[number].startswith("    --hash")
    )
    return f"{name}=={version} \\\n" + "\n".join(lines[start + 1 : end]) + "\n"


def version_of(name: str) -> str:
    lines = bundling.WORKER_REQUIREMENTS.read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}==")).split("==")[1].split()[0]


def test_the_users_code_and_libraries_come_along(config: Path, tmp_path: Path) -> None:
    """Files with their modes; hidden and generated ones stay."""
    code = tmp_path / "code"
    (code / "previews").mkdir(parents=True)
    (code / "previews" / "__init__.py").write_text("VALUE = 1\n")
    (code / "tool").write_text("#!/bin/sh\n")
    (code / "tool").chmod(0o755)
    for hidden in (".env", ".git/config", "__pycache__/x.pyc", "node_modules/x.js"):
        (code / hidden).parent.mkdir(exist_ok=True)
        (code / hidden).write_text("not for Lambda")
    ours, lock = tmp_path / "ours.txt", tmp_path / "requirements.txt"
    ours.write_text(lock_of("jmespath", version_of("jmespath")))
    lock.write_text(lock_of("six", version_of("six")))
    bundle = Bundler(tmp_path / "cache", ours).worker(config, code, lock, HOST)
    assert (bundle.path / "six.py").is_file()
    assert (bundle.path / "jmespath").is_dir()
    assert (bundle.path / "previews" / "__pycache__").is_dir()
    assert (bundle.path / "tool").stat().st_mode & 0o111
    for hidden in (".env", ".git", "__pycache__/x.pyc", "node_modules"):
        assert not (bundle.path / hidden).exists()
    libraries = next((tmp_path / "cache").glob("libraries-*/content"))
    assert not (libraries / "previews").exists(), "the folder that libraries are linked from is as it was"


@pytest.mark.parametrize("name", ["boto3.py", "boto3/__init__.py", "closeout/__init__.py", "six.py"])
def test_code_that_would_hide_a_library_is_refused(
    name: str, worker: Bundle, config: Path, tmp_path: Path
) -> None:
    """It would take that library's place for closeout too."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(ParameterError, match="hides a package of that name in the bundle; rename it"):
        Bundler(worker.path.parent.parent).worker(config, tmp_path, None, HOST)


def test_a_link_out_of_the_code_is_refused(config: Path, tmp_path: Path) -> None:
    """It may lead to anything on this machine."""
    code = tmp_path / "code"
    code.mkdir()
    (tmp_path / "outside.txt").write_text("x")
    (code / "link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(ParameterError, match="is a link to a file outside of code; copy it there"):
        Bundler(tmp_path / "cache").worker(config, code, None, HOST)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("iniconfig\n", "all requirements must have their versions pinned with =="),
        ("iniconfig==2.3.1\n", "Hashes are required in --require-hashes mode"),
        ("--index-url https://x.example\n", "`--index-url` cannot be used; the file lists packages only"),
        ("-e .\n", "`-e` cannot be used"),
        ("iniconfig==2.3.1 \\\n  --hash=sha256:00\n  -r other.txt\n", "`-r` cannot be used"),
        (lock_of("urllib3", "1.26.0"), "Cannot install urllib3==1.26.0 and urllib3=="),
    ],
)
def test_requirements_are_hashed_and_agree_with_the_workers(
    lock: str, message: str, config: Path, tmp_path: Path
) -> None:
    """A package that may be anything tomorrow is not deployed, and no library is exchanged under closeout."""
    path = tmp_path / "requirements.txt"
    path.write_text(lock)
    with pytest.raises(ParameterError) as caught:
        Bundler(tmp_path / "cache").worker(config, None, path, HOST)
    assert message in str(caught.value)


def test_a_wheel_with_another_hash_is_refused(config: Path, tmp_path: Path) -> None:
    """By pip; its last words are in the error."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"iniconfig==2.3.1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ParameterError) as caught:
        Bundler(tmp_path / "cache").worker(config, None, path, HOST)
    assert "cannot be installed for host" in str(caught.value)
