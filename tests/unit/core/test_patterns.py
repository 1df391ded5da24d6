"""Filter patterns: every row of GitHub's cheat sheet, and what it leaves open."""

from __future__ import annotations

import pytest

from closeout.core.errors import PatternError
from closeout.core.patterns import compile_patterns, is_literal

# Patterns, then texts that match and texts that do not. The first of each row's texts are GitHub's own examples.
REFS = [
    (
        ["feature/*"],
        ["feature/my-branch", "feature/your-branch", "feature/"],
        ["feature", "feature/a/b", "x/feature/a"],
    ),
    (
        ["feature/**"],
        ["feature/beta-a/my-branch", "feature/your-branch", "feature/mona/the/octocat"],
        ["feature"],
    ),
    (["main"], ["main"], ["maine", "amain", "main/x", "Main", ""]),
    (["releases/mona-the-octocat"], ["releases/mona-the-octocat"], ["releases/mona-the-octocat2"]),
    (["*"], ["main", "releases", ""], ["all/the/branches"]),
    (["**"], ["all/the/branches", "every/tag", "main", ""], []),
    (["*feature"], ["mona-feature", "feature", "ver-10-feature"], ["a/feature", "features"]),
    (["v2*"], ["v2", "v2.0", "v2.9"], ["v1", "v2/x", "xv2"]),
    (["v[12].[0-9]+.[0-9]+"], ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.0", "v1..1", "v1x0x1"]),
    (["release/**"], ["release/1", "release/1/2"], ["release", "prerelease/1"]),
    (["Octo*"], ["Octocat", "Octo"], ["octocat", "Octo/cat"]),
    (["Octoc?t"], ["Octot", "Octoct"], ["Octoat", "Octocct"]),
    (["[CB]at"], ["Cat", "Bat"], ["cat", "at", "CBat"]),
    (["[1-2]00"], ["100", "200"], ["300", "00"]),
    (["[0-9a-z]x"], ["0x", "zx"], ["Zx", "-x"]),
    (["a+"], ["a", "aaa"], ["", "b"]),
    (["[ab]+c?"], ["a", "abba", "abbac"], ["c", "abcc"]),
    (["a?b"], ["b", "ab"], ["aab"]),
    ([r"a\*b"], ["a*b"], ["axb", "ab"]),
    ([r"\!important"], ["!important"], ["important"]),
    ([r"a\+\?\[\]\\"], [r"a+?[]\ ".strip()], ["a"]),
    (["a!b"], ["a!b"], ["ab"]),
    (["é*"], ["éa", "é"], ["e"]),
    (["a.b"], ["a.b"], ["axb"]),
    (["(a|b)$"], ["(a|b)$"], ["a", "b"]),
    (["main", "!main"], [], ["main"]),
    (["!main", "main"], ["main"], []),
    (
        ["releases/**", "!releases/**-alpha"],
        ["releases/10", "releases/beta/mona"],
        ["releases/10-alpha", "main"],
    ),
    (["**", "!dependabot/**", "dependabot/npm/**"], ["main", "dependabot/npm/x"], ["dependabot/pip/x"]),
]
PATHS = [
    (["*"], ["README.md", "server.rb"], ["docs/a.md"]),
    (["*.jsx?"], ["page.js", "page.jsx"], ["page.jsxx", "page.ts", "a/page.js"]),
    (["**"], ["all/the/files.md"], []),
    (["*.js"], ["app.js", "index.js"], ["js/index.js"]),
    (["**.js"], ["index.js", "js/index.js", "src/js/app.js"], ["index.jsx"]),
    (["docs/*"], ["docs/README.md", "docs/file.txt"], ["docs/mona/octocat.txt", "a/docs/x"]),
    (["docs/**"], ["docs/README.md", "docs/mona/octocat.txt"], ["docs", "mydocs/a"]),
    (
        ["docs/**/*.md"],
        ["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"],
        ["docs.md", "docsREADME.md", "a/docs/b.md"],
    ),
    (
        ["**/docs/**"],
        ["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"],
        ["mydocs/a", "docs"],
    ),
    (["**/README.md"], ["README.md", "js/README.md"], ["MYREADME.md", "js/MYREADME.md"]),
    (["**/*src/**"], ["a/src/app.js", "my-src/code/js/app.js", "src/x"], ["a/srcs/app.js"]),
    (["**/*-post.md"], ["my-post.md", "path/their-post.md"], ["post.md"]),
    (
        ["**/migrate-*.sql"],
        ["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"],
        ["db/migrate-a/b.sql"],
    ),
    (["*.md", "!README.md"], ["hello.md"], ["README.md", "docs/hello.md"]),
    (["*.md", "!README.md", "README*"], ["hello.md", "README.md", "README.doc"], []),
    (["a**/b"], ["a/b", "ax/b", "a/x/b"], ["ab"]),
    (["**/**/b"], ["b", "a/b", "a/a/b"], ["ab"]),
    (["a/***/b"], ["a/b", "a/x/b"], ["ab"]),
    (["**/+b"], ["x//b", "/b"], ["b"]),
]
TABLE = [("ref", *row) for row in REFS] + [("path", *row) for row in PATHS]


@pytest.mark.parametrize(("kind", "patterns", "matching", "other"), TABLE, ids=lambda value: str(value)[:40])
def test_patterns_match_as_in_actions(
    kind: str, patterns: list[str], matching: list[str], other: list[str]
) -> None:
    """Each row of GitHub's table, and the edge cases between them."""
    compiled = compile_patterns(patterns, "path" if kind == "path" else "ref")
    assert [text for text in matching if not compiled.matches(text)] == []
    assert [text for text in other if compiled.matches(text)] == []


BROKEN = {
    "nothing": [],
    "an empty pattern": [""],
    "only a bang": ["!"],
    "only negative": ["!main", "!dev"],
    "a plus first": ["+a"],
    "a question mark first": ["?"],
    "a plus after a bang": ["!+a", "b"],
    "a plus after a star": ["a*+"],
    "a question mark after a plus": ["a+?"],
    "an open bracket": ["[0-9"],
    "an empty bracket": ["a[]b"],
    "a range without end": ["[0-]"],
    "a range backwards": ["[9-0]"],
    "a range across kinds": ["[A-z]"],
    "a range of punctuation": ["[!-/]"],
    "a bracket meant to negate": ["[^ab]"],
    "a backslash last": ["abc\\"],
    "too long": ["a" * 1025],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_patterns_are_errors(name: str) -> None:
    """A pattern that Actions refuses is refused at load, with a message."""
    with pytest.raises(PatternError) as caught:
        compile_patterns(BROKEN[name])
    assert caught.value.message


def test_an_error_has_the_position_in_the_pattern() -> None:
    """Counted from 1, the bang included."""
    with pytest.raises(PatternError, match=r"'!ab\+\+c'.*character 5"):
        compile_patterns(["x", "!ab++c"])
    with pytest.raises(PatternError, match=r"'a\[b': `\[` is not closed \(character 2\)"):
        compile_patterns(["a[b"])


def test_an_empty_list_is_an_error() -> None:
    """There is no pattern that the error could point at."""
    with pytest.raises(PatternError, match=r"\Aan empty list of patterns matches nothing\Z"):
        compile_patterns([])


NAMES = [
    (["acme/shop"], ["acme/shop", "Acme/Shop"], ["acme/shop2", "evil/acme/shop"]),
    (["Acme/*"], ["acme/shop", "ACME/x"], ["acme2/shop"]),
    (["*"], ["acme/shop", "octocat"], []),
    (["*/shop"], ["acme/shop"], ["acme/shop2"]),
    (["acme/*", "!acme/legacy"], ["acme/shop"], ["acme/legacy", "Acme/Legacy"]),
    (["dependabot[bot]"], ["dependabot[bot]"], ["dependabotb", "dependabot"]),
    (["**", "!*[bot]"], ["octocat"], ["renovate[bot]"]),
]


@pytest.mark.parametrize(("patterns", "matching", "other"), NAMES, ids=lambda value: str(value)[:40])
def test_names_match_without_case(patterns: list[str], matching: list[str], other: list[str]) -> None:
    """Repositories and logins: GitHub ignores their case, and `[bot]` is part of a login."""
    compiled = compile_patterns(patterns, "name")
    assert [text for text in matching if not compiled.matches(text)] == []
    assert [text for text in other if compiled.matches(text)] == []


@pytest.mark.parametrize(("patterns", "matching", "other"), NAMES, ids=lambda value: str(value)[:40])
def test_a_stepwise_match_equals_a_match_of_the_whole_text(
    patterns: list[str], matching: list[str], other: list[str]
) -> None:
    """Character by character, the list matches the same texts."""
    walk = compile_patterns(patterns, "name")
    for text in (*matching, *other):
        state: tuple[int, ...] | None = walk.start
        for char in text.lower():
            state = state and walk.step(state, char)
        assert (state is not None and walk.accepts(state)) is (text in matching)


def test_a_literal_pattern_has_no_special_character() -> None:
    """It matches exactly one text."""
    assert is_literal("acme/shop.io")
    assert not any(is_literal(pattern) for pattern in ("a*", "a?", "a+", "[ab]", "!a", "\\a"))


@pytest.mark.parametrize(
    "pattern",
    [
        "**a" * 300 + "b",
        "*a" * 400,
        "[ab]+" * 200 + "c",
        "**/" * 300 + "x",
        "a?" * 500 + "b",
        "a+" * 500 + "b",
    ],
    ids=["double stars", "stars", "plus", "folders", "optional", "repeated"],
)
@pytest.mark.timeout(60)
def test_a_hostile_pattern_has_linear_cost(pattern: str) -> None:
    """No pattern and text make matching explode: milliseconds where a backtracking matcher would take ages."""
    compiled = compile_patterns([pattern], "path")
    for text in ("a" * 4096, "a/" * 2048, "ab" * 2048, "".join(chr(300 + i % 5000) for i in range(4096))):
        compiled.matches(text)


def test_many_different_texts_do_not_fill_memory() -> None:
    """The cache of steps is dropped when it is large: outsiders choose the texts."""
    compiled = compile_patterns(["**/x*y"], "path")
    for code in range(0x4E00, 0x4E00 + 9000):
        compiled.matches(f"a/{chr(code)}")
    assert compiled.matches("a/xy")
    assert not compiled.matches("a/xyz")
