"""aws/s3-delete-objects: the rule that freezes a listing, over plain values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.actions.aws.buckets import Version
from closeout.actions.aws.s3_delete_objects import ACTION, KNOWN, PlannedVersions, check, freeze

versions = st.lists(
    st.builds(
        Version,
        key=st.text(min_size=1, max_size=6),
        version_id=st.sampled_from(["null", "a", "b"]),
        modified=st.integers(0, 6).map(lambda second: f"2026-01-01T00:00:0{second}Z"),
        size=st.integers(0, 9),
    ),
    unique_by=lambda version: (version.key, version.version_id),
    max_size=30,
)


def version(key: str, second: int, version_id: str = "v") -> Version:
    """A version of that second."""
    return Version(key, version_id, f"2026-01-01T00:00:{second:02d}Z", 1)


class TestFreeze:
    @given(listing=versions, known=st.integers(1, 12))
    def test_everything_seen_counts(self, listing: list[Version], known: int) -> None:
        """Whatever the limit, each version of the listing counts as seen."""
        seen = freeze(listing, known)
        assert all(seen.frozen.has(item) for item in listing)
        assert (seen.objects, seen.bytes) == (len(listing), sum(item.size for item in listing))

    @given(listing=versions, known=st.integers(1, 12), key=st.text(min_size=7, max_size=8))
    def test_a_later_write_does_not_count(self, listing: list[Version], known: int, key: str) -> None:
        """A version that S3 dates after the newest one of the plan never counts, whatever the limit."""
        frozen = freeze(listing, known).frozen
        assert not frozen.has(version(key, 7))

    @given(listing=versions, key=st.text(min_size=7, max_size=8), second=st.integers(0, 9))
    def test_up_to_the_limit_it_is_exact(self, listing: list[Version], key: str, second: int) -> None:
        """While every version is recorded, nothing else counts, whatever its date."""
        assert not freeze(listing, known=30).frozen.has(version(key, second))

    def test_same_second_over_the_limit(self) -> None:
        """Over the limit, a version of the newest second that the plan did not see does not count."""
        listing = [version(f"old-{n}", 1) for n in range(5)] + [version("new", 2)]
        frozen = freeze(listing, known=3).frozen
        assert frozen.has(version("new", 2))
        assert not frozen.has(version("written-since", 2))

    @pytest.mark.parametrize(
        ("versions", "since", "known"),
        [(2, "", 2), (3, "", 3), (4, "2026-01-01T00:00:02Z", 3), (9, "2026-01-01T00:00:07Z", 3)],
    )
    def test_the_newest_are_recorded_individually(self, versions: int, since: str, known: int) -> None:
        """As many as the limit says, and older ones by their time. Up to the limit the time does not count."""
        frozen = freeze([version(f"key-{n}", n) for n in range(1, versions + 1)], known=3).frozen
        assert (frozen.since, len(frozen.known)) == (since, known)

    def test_overwritten_object_without_versioning(self) -> None:
        """A `null` version that was overwritten since is a different one."""
        frozen = freeze([version("a", 1, "null")]).frozen
        assert not frozen.has(version("a", 2, "null"))

    def test_stays_small(self) -> None:
        """A plan of any size fits into a recorded result of 200 KB."""
        listing = (version(f"key-{n}", n % 60) for n in range(3 * KNOWN))
        assert len(json.dumps(freeze(listing).frozen.to_json())) < 120_000

    def test_survives_being_stored(self) -> None:
        """The frozen listing is the same after JSON."""
        frozen = freeze([version("a", 1), version("b", 2)]).frozen
        assert PlannedVersions.from_json(json.loads(json.dumps(frozen.to_json()))) == frozen


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"prefix": "previews/17/"}, None),
        ({"prefix": "previews/${{ event.number }}/"}, None),
        ({"prefix": "pr-17-", "delimiter": "-"}, None),
        ({"prefix": "previews/17"}, "must end in '/'"),
        ({"prefix": "previews/${{ event.number }}"}, "must end in '/'"),
        ({"prefix": "pr-17/", "delimiter": "-"}, "must end in '-'"),
        ({"prefix": ""}, "whole bucket"),
        ({}, "whole bucket"),
        ({"prefix": "/"}, "nothing but delimiters"),
        ({"prefix": "//"}, "nothing but delimiters"),
    ],
)
def test_prefix(inputs: dict[str, Any], said: str | None) -> None:
    """A prefix must contain literal text and end in its delimiter; the error comes when the file is loaded."""
    found = ACTION.check(inputs) if ACTION.check else ()
    assert list(found) == list(check(inputs))
    if said is None:
        assert not found
    else:
        assert said in found[0]


def test_permissions() -> None:
    """IAM is narrowed to the bucket and the prefix, with `*` for what only a run knows."""
    listing, deleting = ACTION.permissions({"bucket": "acme", "prefix": "previews/${{ event.number }}/"})
    assert listing.resources == ("arn:aws:s3:::acme",)
    assert deleting.resources == ("arn:aws:s3:::acme/previews/*/*",)
