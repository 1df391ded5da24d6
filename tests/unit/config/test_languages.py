"""What the fields of a name can contain, and which repositories a list of patterns matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.config.languages import (
    LANGUAGES,
    Budget,
    Undecided,
    cells,
    examples,
    except_text,
    fixes_owner,
    read,
)
from closeout.core.patterns import compile_patterns

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_./"
HOLDS = {
    "number": (["1", "17", "90"], ["", "0", "07", "-1", "1a"]),
    "sha": (["0123456789abcdef" * 2 + "01234567"], ["", "a" * 39, "a" * 41, "g" * 40]),
    "owner": (["acme", "a-b", "a1", "x_corp"], ["", "-a", "a.b", "a/b"]),
    "name": ([".github", "a-b_c.d", "1"], ["", "a/b"]),
    "text": (["feature/x", "a"], ["", "a b", "\0"]),
    "part": (["", "feature/x"], ["a b", "\0"]),
    "branch": (["feature/x", "\u00e9"], [""]),
    "anything": (["", "a b", "\u00e9"], ["a\0b"]),
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_field_can_contain_whatever_github_allows(name: str) -> None:
    """Names are compared by these: too narrow a set would miss a collision."""
    good, bad = HOLDS[name]
    assert [text for text in good if not read(LANGUAGES[name], text)] == []
    assert [text for text in bad if read(LANGUAGES[name], text)] == []


def test_one_value_can_be_excluded() -> None:
    """For two different values, of which one is known."""
    others = except_text(LANGUAGES["name"], "shop")
    assert not read(others, "shop")
    assert all(read(others, text) for text in ("sho", "shop1", "web", "xshop"))


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [
        ("*", False),
        ("**", False),
        ("*/*", False),
        ("*/shop", False),
        ("[a-z]+*/*", False),
        ("[a-z]+/*", False),
        ("[ab]*/*", False),
        ("a?[b-z]+/*", False),
        ("acme/*", True),
        ("acme/shop", True),
        ("acme-*/*", True),
        ("*-acme/*", True),
        ("*acme*/shop", True),
        ("[ab]cme/*", True),
        ("[abc]/*", True),
        ("acme**", True),
        ("*a" + "[ab]" * 7 + "*/" + "x" * 950, False),
    ],
)
def test_a_pattern_that_matches_any_owner_is_detected(pattern: str, fixed: bool) -> None:
    """By the owners that match, not by its spelling; if that takes too long to decide, it counts as too wide."""
    assert fixes_owner(pattern) is fixed


REPOSITORIES = [
    f"{owner}/{name}"
    for owner in ("acme", "beta", "a-b", "x1")
    for name in ("shop", "shop1", "web", "1", ".git")
]
patterns = st.lists(
    st.sampled_from(
        [
            "acme/shop",
            "acme/*",
            "*/shop",
            "!acme/web",
            "a*/s*",
            "[ab]*/shop?1?",
            "**",
            "!*/shop",
            "beta/w?eb",
            "acme/sh+op*",
        ]
    ),
    min_size=1,
    max_size=4,
).filter(lambda found: any(not one.startswith("!") for one in found))


@given(patterns)
def test_the_cells_contain_exactly_what_the_patterns_match(found: list[str]) -> None:
    """Including negations, orders and wildcards; every example matches."""
    compiled = compile_patterns(found, "name")
    made = cells(found, ALPHABET, Budget(100_000))
    for repository in REPOSITORIES:
        owner, _, name = repository.partition("/")
        assert any(cell.holds(owner, name) for cell in made) is compiled.matches(repository)
    for cell in made:
        assert cell.owners
        assert cell.names
        assert all(compiled.matches(f"{owner}/{name}") for owner in cell.owners for name in cell.names)


def test_a_single_example_is_all_that_exists() -> None:
    """A single text differs from many, so that a fixed repository counts as fixed text."""
    (one,) = cells(["acme/shop", "acme/shop"], ALPHABET, Budget(1_000))
    assert (one.owners, one.names) == (("acme",), ("shop",))
    (many,) = cells(["acme/sho?p"], ALPHABET, Budget(1_000))
    assert set(many.names) == {"shop", "shp"}
    assert len(examples(LANGUAGES["number"], ALPHABET, Budget(1_000))) == 2


def test_an_endless_search_ends() -> None:
    """A hostile list of patterns costs a limited number of states."""
    wide = ["acme/" + "*a" + "[ab]" * 12 + str(i) + "*" for i in range(12)]
    with pytest.raises(Undecided):
        cells(wide, ALPHABET, Budget(500))
