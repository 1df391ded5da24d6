"""The notifier's bundle for URLs: it sends on its own, and no other bundle grows because of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from closeout_cdk import bundling, imports
from closeout_cdk.bundling import Bundle, Bundler, Target
from test_bundles import HOST, loaded_from_sources, python, unpacked

LIMIT = 10_000_000
START = """\
import json, os
os.environ.update(
    CLOSEOUT_TABLE="t", CLOSEOUT_LOG_GROUP="g", CLOSEOUT_STACK="s", AWS_REGION="eu-central-1", AWS_ACCESS_KEY_ID="a",
    AWS_SECRET_ACCESS_KEY="b", AWS_ENDPOINT_URL="http://127.0.0.1:9",
    CLOSEOUT_NOTIFY=json.dumps([[["failure"], ["aws-secretsmanager:team"]], {}]),
)
from closeout.lambdas.notify import handle, notifying
made = notifying()
before = set(sys.modules)
print(handle({"test": True}, "1", made)["results"][0]["code"])
from closeout.adapters import notifier
notifier.check("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
print(*before)
"""


@pytest.fixture(scope="module")
def notify(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundler(tmp_path_factory.mktemp("notify")).notify(HOST)


def test_it_sends_from_its_bundle_alone(notify: Bundle, tmp_path: Path) -> None:
    """Apprise is in it, and is imported to send; boto3 is not, and nothing is compiled again."""
    place = unpacked(notify, tmp_path)
    done = python(place, f"exec({START!r})", "-v")
    assert done.returncode == 0, done.stderr[-2_000:]
    code, loaded = done.stdout.splitlines()[-2:]
    assert code == "secret-unavailable", "nothing answers for Secrets Manager"
    assert not {"apprise", "boto3", "botocore", "closeout.config", "closeout.engine"} & set(loaded.split())
    assert loaded_from_sources(done.stderr, place) == []


def test_it_is_small_and_the_same_each_time(notify: Bundle, tmp_path: Path) -> None:
    """A deployment without changes changes nothing."""
    assert notify.zipped < LIMIT
    again = Bundler(tmp_path).notify(HOST)
    assert again.fresh
    assert again.hash == notify.hash


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_there_are_wheels_for_each_architecture(architecture: str) -> None:
    """Two of its libraries have compiled parts."""
    bundle = Bundler().notify(Target(architecture=architecture))
    assert (bundle.path / "apprise").is_dir()
    assert list(bundle.path.rglob("*.so"))


def test_no_other_bundle_holds_what_sends_messages() -> None:
    """The receiver's cold start and the worker's size are what they were."""
    receivers = imports.closure(bundling.RECEIVER_ENTRY, bundling.SOURCES, bundling.RECEIVER_WITHOUT)
    assert not [path for path in receivers if path.stem in ("notify", "notifier", "notifying")]
    for lock in (bundling.WORKER_REQUIREMENTS, bundling.GUARD_REQUIREMENTS):
        locked = re.findall(r"(?m)^([a-z0-9.-]+)==", lock.read_text("utf-8"))
        assert not {"apprise", "requests", "pyyaml"} & set(locked)
