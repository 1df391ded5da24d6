"""What is deployed, packed by one program and read by others, of this version and of others."""

from __future__ import annotations

import dataclasses
import json
import zlib
from typing import Any

import pytest

from closeout.stack import table as layout
from closeout.stack.deployed import definition_lifetime, digest_of, pack, unpack
from tests.unit.core.test_automation import AUTOMATION

OTHER = dataclasses.replace(AUTOMATION, name="other", mode="dry-run", function="hooks:f", steps=())
API = "https://api.github.com"


def repacked(**changes: Any) -> bytes:
    """What another version could have packed."""
    value = json.loads(zlib.decompress(pack([AUTOMATION], API)))
    return zlib.compress(json.dumps({**value, **changes}).encode())


def test_a_packed_configuration_is_read_as_a_run_would_store_it() -> None:
    """Each automation has protection, limits and mode, which yields the same definition as the file's own."""
    found = unpack(pack([AUTOMATION, OTHER], API), 12.5)
    assert list(found.automations.items()) == [("preview-cleanup", AUTOMATION), ("other", OTHER)]
    assert found.automations["other"].canonical() == OTHER.canonical()
    assert (found.api_url, found.since, found.unknown) == (API, 12.5, ())


def test_packing_again_yields_the_same_text() -> None:
    """The worker identifies a definition by the digest of its text, whatever its letters."""
    written = dataclasses.replace(AUTOMATION, name="aufräumen")
    assert unpack(pack([written], API), 0).rewritten == ()


def test_a_definition_is_known_as_long_as_a_run_of_it_may_last() -> None:
    """It waits, then it runs, and Lambda may be late by a day."""
    assert definition_lifetime(dataclasses.replace(AUTOMATION, queue_timeout=60.0, timeout=7.0)) == 86_467.0


def test_the_files_protection_is_stored_next_to_the_automations() -> None:
    """It applies to a run whose automation is gone."""
    found = unpack(pack([AUTOMATION], API, ["shared-*"], {"keep": "*"}), 0)
    assert found.current("renamed") == (None, ("shared-*",), {"keep": "*"})
    assert found.current("preview-cleanup").automation == AUTOMATION


def test_protection_stored_by_an_earlier_version_is_the_automations() -> None:
    """It wrote the file's `protect` into each automation, and nowhere else."""
    old = dataclasses.replace(AUTOMATION, protect_names=("shared-*",), protect_tags={"keep": "*"})
    value = json.loads(zlib.decompress(pack([old], API)))
    del value["protect"]
    found = unpack(zlib.compress(json.dumps(value).encode()), 0)
    assert found.current("renamed") == (None, ("shared-*",), {"keep": "*"})
    assert found.unknown == ()


def test_a_digest_depends_on_the_content_and_not_on_its_compression() -> None:
    """Another machine's zlib may compress differently."""
    packed = pack([AUTOMATION], API)
    other = zlib.compress(zlib.decompress(packed), 1)
    assert digest_of(packed) == digest_of(other) == unpack(packed, 0).digest
    assert digest_of(packed) != digest_of(pack([OTHER], API))
    tags = [dict.fromkeys(keys, "*") for keys in ("ab", "ba")]
    assert digest_of(pack([], API, (), tags[0])) == digest_of(pack([], API, (), tags[1]))


def test_unknown_keys_of_a_later_version_are_reported_and_the_others_apply() -> None:
    """A run on this version must still respect a dry run that a later one deployed."""
    later = json.loads(dataclasses.replace(AUTOMATION, mode="dry-run").canonical()) | {"moon": "full"}
    later["steps"][0]["tide"] = "high"
    found = unpack(repacked(automations=[later], weather="fair"), 0)
    assert found.automations["preview-cleanup"].mode == "dry-run"
    assert found.unknown == ("moon", "tide", "weather")


def test_keys_of_an_earlier_version_are_enough() -> None:
    """A key that it lacked gets its default."""
    earlier = json.loads(AUTOMATION.canonical())
    for key in ("public_logs", "grace"):
        del earlier[key]
    found = unpack(repacked(automations=[earlier]), 0)
    assert found.automations["preview-cleanup"] == AUTOMATION
    assert (found.rewritten, unpack(repacked(), 0).rewritten) == (("preview-cleanup",), ())


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no zlib",
        zlib.compress(b"no json"),
        zlib.compress(b"[]"),
        zlib.compress(b"null"),
        repacked(automations=None),
        repacked(protect=None),
        repacked(protect={"names": ["x"]}),
        repacked(automations=[{"name": "x"}]),
        repacked(automations=["x"]),
        repacked(automations=[json.loads(AUTOMATION.canonical()) | {"steps": 1}]),
        repacked(automations=[json.loads(AUTOMATION.canonical()) | {"mode": "a-later-one"}]),
    ],
)
def test_any_other_content_is_a_value_error(packed: bytes) -> None:
    """One kind of error, so that no caller misses another."""
    with pytest.raises(ValueError, match=r"\S"):
        unpack(packed, 0)


def test_the_item_is_in_the_partition_of_the_pause() -> None:
    """The only partition that the stack's deployment may write."""
    packed = pack([AUTOMATION], API)
    item = layout.deployed_item(packed, digest_of(packed), 12.5)
    assert item["pk"] == layout.PAUSE_KEY["pk"] == {"S": "settings"}
    assert item["sk"] == {"S": "config"}
    assert layout.from_item(item)["data"] == packed
