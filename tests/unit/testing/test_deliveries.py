"""Payloads and signatures that other tests and the command line send: they have GitHub's shapes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from closeout.core import signature
from closeout.testing import deliveries


def test_the_signature_is_githubs_own_example() -> None:
    """The vector of GitHub's documentation, so that a mistake here cannot hide one in the core."""
    assert (
        deliveries.signature(b"Hello, World!", "It's a Secret to Everybody")
        == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


@pytest.mark.parametrize("form", [False, True])
def test_a_delivery_is_signed_over_its_raw_body(form: bool) -> None:
    """JSON or form: the core accepts it, and one byte more it does not."""
    body = deliveries.encode(deliveries.pull_request(title="ü & = %"), form=form)
    headers = deliveries.signed_headers("pull_request", body, "s3cret", "guid", 7, form=form)
    signature.verify(body, headers["X-Hub-Signature-256"].encode(), [b"s3cret"])
    text = parse_qs(body.decode())["payload"][0] if form else body
    assert json.loads(text)["pull_request"]["title"] == "ü & = %"
    assert headers["X-GitHub-Hook-ID"] == "7"


def test_the_usual_pull_request_is_number_17_into_develop() -> None:
    """Closed, not merged, and yet with a merge commit, by which nobody may decide."""
    payload = deliveries.pull_request()
    pull = payload["pull_request"]
    assert (payload["action"], payload["number"], pull["base"]["ref"], pull["state"]) == (
        "closed",
        17,
        "develop",
        "closed",
    )
    assert (pull["merged"], pull["merge_commit_sha"] is None) == (False, False)
    assert pull["base"]["repo"]["id"] == payload["repository"]["id"]


def test_a_full_payload_has_a_real_ones_size() -> None:
    """GitHub's own examples of a closed pull request have 23 to 25 KB."""
    assert 20_000 < len(deliveries.encode(deliveries.pull_request(full=True))) < 27_000


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (deliveries.pull_request(merged=True), {"merged": True, "state": "closed"}),
        (deliveries.pull_request(base="main"), {"state": "closed"}),
        (deliveries.pull_request("reopened"), {"state": "open", "closed_at": None}),
        (deliveries.pull_request(labels=("a", "b")), {"state": "closed"}),
    ],
)
def test_variants_differ_where_they_say(payload: Any, expected: dict[str, Any]) -> None:
    """And are whole otherwise."""
    assert expected.items() <= payload["pull_request"].items()


def test_a_fork_may_be_gone() -> None:
    """Then `head.repo` is null and `head.user` is missing, as GitHub sends it."""
    there = deliveries.from_fork()["pull_request"]["head"]
    assert there["repo"]["full_name"] == "outsider/shop"
    head = deliveries.from_fork(gone=True)["pull_request"]["head"]
    assert head["repo"] is None
    assert "user" not in head


def test_a_push_that_deletes_has_no_commit() -> None:
    """`after` is all zeros, `head_commit` null."""
    payload = deliveries.push_delete()
    assert (payload["deleted"], payload["head_commit"], payload["after"]) == (True, None, "0" * 40)


@pytest.mark.parametrize("name", list(deliveries.SAMPLES))
def test_a_sample_can_match_nobodys_configuration(name: str) -> None:
    """Its repository is one that no configuration may name."""
    event, payload = deliveries.sample(name)
    assert event == name.split(".", maxsplit=1)[0]
    assert payload["repository"]["full_name"] == deliveries.SAMPLE_REPOSITORY
    assert "acme/" not in json.dumps(payload)
    assert payload["sender"]["login"]
    json.dumps(payload, allow_nan=False)
