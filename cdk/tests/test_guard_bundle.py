"""The guard's bundle: it verifies a token on its own, and the other bundles do not grow because of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from closeout_cdk import bundling, imports
from closeout_cdk.bundling import Bundle, Bundler
from test_bundles import HOST, loaded_from_sources, python, unpacked

LIMIT = 10_000_000
START = """\
import os
os.environ.update(
    CLOSEOUT_TABLE="t", CLOSEOUT_API_URL="http://127.0.0.1:9", CLOSEOUT_GITHUB_SECRET="s",
    CLOSEOUT_PUBLIC_URL="https://a.example.com/prod", CLOSEOUT_RECHECKS="f:live", AWS_REGION="eu-central-1", AWS_ACCESS_KEY_ID="a",
    AWS_SECRET_ACCESS_KEY="b", AWS_ENDPOINT_URL="http://127.0.0.1:9",
)
from closeout.lambdas.guard import handler
event = {"httpMethod": "GET", "multiValueQueryStringParameters": {"pull-request": ["17"]}}
event["multiValueHeaders"] = {"Authorization": ["Bearer %s"]}
print(handler(event, None)["body"])
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundler(tmp_path_factory.mktemp("guard")).guard(HOST)


def test_it_verifies_tokens_from_its_bundle_alone(guard: Bundle, tmp_path: Path) -> None:
    """PyJWT and cryptography are in it; boto3 is not imported, and nothing is compiled again."""
    place = unpacked(guard, tmp_path)
    code = f"exec({START % 'e30.e30.c2ln'!r})"
    done = python(place, code, "-v")
    assert done.returncode == 0, done.stderr[-2_000:]
    answer, loaded = done.stdout.splitlines()[-2:]
    assert '"unknown"' in answer, "it gets no keys"
    assert {"jwt", "cryptography"} <= set(loaded.split())
    assert not {"boto3", "botocore", "ruamel", "closeout.config", "closeout.engine"} & set(loaded.split())
    assert loaded_from_sources(done.stderr, place) == []


def test_it_is_small_and_the_same_each_time(guard: Bundle, tmp_path: Path) -> None:
    """A deployment without changes changes nothing."""
    assert guard.zipped < LIMIT
    again = Bundler(tmp_path).guard(HOST)
    assert again.fresh
    assert again.hash == guard.hash


def test_no_other_bundle_holds_what_verifies_tokens() -> None:
    """The receiver's cold start and the worker's size are what they were."""
    receivers = imports.closure(bundling.RECEIVER_ENTRY, bundling.SOURCES, bundling.RECEIVER_WITHOUT)
    assert not [path for path in receivers if path.stem in ("guard", "oidc", "question")]
    locked = re.findall(r"(?m)^([a-z0-9.-]+)==", bundling.WORKER_REQUIREMENTS.read_text("utf-8"))
    assert not {"pyjwt", "cryptography", "cffi"} & set(locked)
    assert set(re.findall(r"(?m)^([a-z0-9.-]+)==", bundling.GUARD_REQUIREMENTS.read_text("utf-8"))) == {
        "cffi",
        "cryptography",
        "pycparser",
        "pyjwt",
    }
