"""Templates: where an expression begins and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core.errors import ExpressionError
from closeout.core.templates import Part, before_path, expressions, parts


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("plain", ()),
        ("", ()),
        ("a ${ b } {{ c }} }}", ()),
        ("${{ event.a }}", ("event.a",)),
        ("${{event.a}}-${{ event.b }}", ("event.a", "event.b")),
        ("${{ event['}}'] }}", ("event['}}']",)),
        ('${{ "}}" }}', ('"}}"',)),
        ('${{ "\\"}}" }}', ('"\\"}}"',)),
        ("${{ r'\\' }}x", ("r'\\'",)),
        ("${{ br'\\' }}x", ("br'\\'",)),
        ("${{ '''a'}}''' }}", ("'''a'}}'''",)),
        ('${{ {"a": {"b": 1}}["a"].b }}', ('{"a": {"b": 1}}["a"].b',)),
        ("${{ {'a': '{'}['a'] }}", ("{'a': '{'}['a']",)),
        ("${{ '${{' }}", ("'${{'",)),
        ("${{}}", ("",)),
    ],
)
def test_an_expression_ends_at_its_own_braces(template: str, found: tuple[str, ...]) -> None:
    """A `}}` inside a string literal or inside the expression's braces does not end it."""
    assert expressions(template) == found


@pytest.mark.parametrize(
    "template", ["${{", "a ${{ event.a }", "${{ '}} ", '${{ {"a": 1 }}', "${{ a }} ${{ b"]
)
def test_an_expression_without_an_end_is_an_error(template: str) -> None:
    """The error names its beginning, and nothing is filled in."""
    with pytest.raises(ExpressionError, match="has no `}}`"):
        parts(template)


def test_parts_have_their_offsets() -> None:
    """In the template, without the space before an expression."""
    assert parts("ab-${{  event.x }}c") == (
        Part("ab-", False, 0),
        Part("event.x", True, 8),
        Part("c", False, 18),
    )
    assert parts("${{a}}${{b}}") == (Part("a", True, 3), Part("b", True, 9)), "no text is no part"


@pytest.mark.parametrize(
    ("template", "before"),
    [
        ("https://x.example/a/b", "https://x.example"),
        ("https://x.example?q=1", "https://x.example"),
        ("https://${{ event.host }}/a", "https://${{ event.host }}"),
        ("https://x.example", "https://x.example"),
        ("https://${{ event.a + '/b' }}", "https://${{ event.a + '/b' }}"),
    ],
)
def test_the_host_part_of_a_url_is_known(template: str, before: str) -> None:
    """Outsiders must not choose a host. An expression is not a path, whatever its value."""
    assert template[: before_path(template)] == before


@given(st.text("${}'\"\\r ae.", max_size=40))
def test_any_text_is_split_or_refused(template: str) -> None:
    """The parts are the whole text without its marks, or the named error is raised."""
    try:
        found = parts(template)
    except ExpressionError:
        return
    for part in found:
        assert template[part.offset : part.offset + len(part.text)] == part.text
