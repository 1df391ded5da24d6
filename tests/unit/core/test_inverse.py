"""Names parsed backwards: what is returned, and which names are too ambiguous for a pattern."""

from __future__ import annotations

import pytest

from closeout.core.inverse import NUMBER, NamePattern, NamePatterns, pattern_of


@pytest.mark.parametrize(
    ("parts", "name", "number"),
    [
        (("preview-", NUMBER), "preview-17", 17),
        (("preview-", NUMBER, "-shop"), "preview-17-shop", 17),
        (("preview-", NUMBER), "preview-017", None),
        (("preview-", NUMBER), "preview-0", None),
        (("preview-", NUMBER), "preview-17x", None),
        (("preview-", NUMBER), "preview-17\n", None),
        (("preview-", NUMBER), "preview-١٧", None),
        (("preview-", NUMBER), "Preview-17", None),
        (("preview-", NUMBER), "my-preview-17", None),
        (("preview-", NUMBER), "preview-" + "9" * 19, None),
        (("p.", NUMBER), "px17", None),
        (("a-", NUMBER, "-b-", NUMBER), "a-17-b-17", 17),
        (("a-", NUMBER, "-b-", NUMBER), "a-17-b-18", None),
    ],
)
def test_a_name_yields_its_number(parts: tuple[str | None, ...], name: str, number: int | None) -> None:
    """The number in exactly this name, as GitHub writes it; none for any other name."""
    pattern = pattern_of(parts)
    assert isinstance(pattern, NamePattern)
    assert pattern.number(name) == number
    assert pattern.gives(name) == (number is not None)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((NUMBER, "-preview"), "no fixed text before the number"),
        (("preview-1", NUMBER), "a digit is next to the number"),
        (("preview-", NUMBER, "0"), "a digit is next to the number"),
        (("preview-", NUMBER, NUMBER), "no fixed text before the number"),
        (("preview-", NUMBER, "", NUMBER), "no fixed text before the number"),
    ],
)
def test_an_ambiguous_name_has_no_pattern(parts: tuple[str | None, ...], told: str) -> None:
    """It is unknown where the number begins or ends."""
    found = pattern_of(parts)
    assert isinstance(found, str)
    assert told in found


def test_all_inputs_must_belong_to_one_pull_request() -> None:
    """A fixed bucket must match exactly, and two inputs must yield one number."""
    bucket, prefix = pattern_of(("previews",)), pattern_of(("shop/", NUMBER, "/"))
    other = pattern_of(("pr-", NUMBER))
    assert not isinstance(bucket, str)
    assert not isinstance(prefix, str)
    assert not isinstance(other, str)
    naming = NamePatterns("acme/shop", {"bucket": bucket, "prefix": prefix})
    assert naming.number({"bucket": "previews", "prefix": "shop/17/"}) == 17
    assert naming.number({"bucket": "others", "prefix": "shop/17/"}) is None
    assert naming.number({"prefix": "shop/17/"}) is None
    both = NamePatterns("acme/shop", {"bucket": other, "prefix": prefix})
    assert both.number({"bucket": "pr-17", "prefix": "shop/17/"}) == 17
    assert both.number({"bucket": "pr-18", "prefix": "shop/17/"}) is None
