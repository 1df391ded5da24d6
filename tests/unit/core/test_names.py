"""Names of targets: which characters they accept, and who chose their values."""

from __future__ import annotations

import pytest

from closeout.core.errors import NameRefused
from closeout.core.names import (
    Piece,
    check_interpolated,
    outsider_fields,
    outsider_texts,
    pieces,
)

FIT = ["17", "develop", "release/1.2", "a", "A_b-c.d", "x" * 128, "9"]
UNFIT: list[object] = [
    "",
    " ",
    "a b",
    "../x",
    "a/../b",
    "a..b",
    "-rf",
    ".hidden",
    "/etc",
    "*",
    "pr-*",
    "a;b",
    "a\n",
    "\n",
    "a\x00b",
    "é",
    "１７",
    "x" * 129,
    "${{ x }}",
    "$(id)",
    None,
    True,
    1.5,
    [],
    -1,
]


def outsider_chosen(expression: str) -> str | None:
    """All the fields in an expression that outsiders may choose, as one text."""
    return " + ".join(outsider_fields(expression)) or None


@pytest.mark.parametrize("value", FIT)
def test_a_plain_name_is_accepted_unchanged(value: str) -> None:
    """Letters, digits, and a few marks between them."""
    assert check_interpolated(value, "event.x") == value


@pytest.mark.parametrize(("length", "shown"), [(58, 60), (59, 58)])
def test_a_long_value_is_shortened(length: int, shown: int) -> None:
    """Sixty characters with quotes are shown in full; of a longer one, 57 and an ellipsis."""
    with pytest.raises(NameRefused) as caught:
        check_interpolated("*" * length, "event.x")
    text = caught.value.message.partition(" gave ")[2].partition(", which")[0]
    assert (len(text), text.endswith("…")) == (shown, length == 59)


def test_a_number_is_accepted_as_its_digits() -> None:
    """A pull request's number is an integer in the payload."""
    assert check_interpolated(17, "event.number") == "17"


@pytest.mark.parametrize("value", UNFIT, ids=repr)
def test_a_value_that_could_change_the_target_is_refused(value: object) -> None:
    """The message shows the expression and the value, shortened, on one line."""
    with pytest.raises(NameRefused) as caught:
        check_interpolated(value, "event.pull_request.title")
    assert "${{ event.pull_request.title }}" in caught.value.message
    assert "nothing was done" in caught.value.message
    assert len(caught.value.message) < 320
    assert "\n" not in caught.value.message


INSIDE = [
    "event.number",
    "event.pull_request.number",
    "event.pull_request.id",
    "event.pull_request.base.ref",
    "event.pull_request.head.sha",
    "event.pull_request.base.sha",
    "event.pull_request.merge_commit_sha",
    "event.pull_request.head.repo.id",
    "event.pull_request.base.repo.owner.id",
    "event.repository.owner.id",
    "event.issue.number",
    "event.deployment.id",
    "event.workflow_run.run_number",
    "event.after",
    "event.before",
    "event.sha",
    "event.check_run.head_sha",
    "event.repository.name",
    "event.repository.full_name",
    "event.repository.owner.login",
    "event.repository.description",
    "'fixed'",
    '"fixed"',
    "42",
    "string(event.number)",
    " string( event . number ) ",
    "int(event.number)",
    '"pr-" + string(event.number) + "-" + event.repository.name',
    "(event.number)",
    "string((event.number + 1))",
]


@pytest.mark.parametrize("expression", INSIDE)
def test_values_that_github_or_the_repository_chose_are_trusted(expression: str) -> None:
    """Numbers, SHAs, the base branch, the repository, literals, and sums of these."""
    assert outsider_chosen(expression) is None
    assert outsider_fields(expression) == ()


FIELDS = [
    ("event.pull_request.title", "event.pull_request.title"),
    ("event.pull_request.head.ref", "event.pull_request.head.ref"),
    (" event.pull_request . head.ref ", "event.pull_request.head.ref"),
    ("string(event.pull_request.body)", "event.pull_request.body"),
    ("'x' + event.pull_request.user.login", "event.pull_request.user.login"),
    ("event.sender.login", "event.sender.login"),
    ("event.ref", "event.ref"),
    ("event.action", "event.action"),
    ("event.organization.login", "event.organization.login"),
    ("event.pull_request.head.repo.full_name", "event.pull_request.head.repo.full_name"),
    ("event.pull_request.base.repo.name", "event.pull_request.base.repo.name"),
    ("event.deployment.payload.id", "event.deployment.payload.id"),
    ("event.inputs.number", "event.inputs.number"),
    ("event.client_payload.id", "event.client_payload.id"),
    ("event.check_run.external_id", "event.check_run.external_id"),
    ("event", "event"),
    ("event.repository", "event.repository"),
    ("repository.name", "repository.name"),
    ("number", "number"),
    ("x.number", "x.number"),
]


@pytest.mark.parametrize(("expression", "field"), FIELDS)
def test_values_that_outsiders_may_choose_are_named(expression: str, field: str) -> None:
    """With the dotted field that `allow-untrusted` must list."""
    assert outsider_chosen(expression) == field
    assert outsider_fields(expression) == (field,)


UNCLEAR = [
    'event["pull_request"]["title"]',
    "event.pull_request['head'].ref",
    "event.pull_request.labels[0].name",
    "event[event.pull_request.title].number",
    "has(event.number)",
    "size(event.pull_request.title)",
    'event.number > 1 ? event.pull_request.title : "x"',
    "event.pull_request.labels.map(l, l.name)",
    "event.pull_request.head.ref.lowerAscii()",
    "event.repository.name.replace('a', event.pull_request.title)",
    "event.number.format([event.pull_request.title])",
    "[event.number]",
    '{"a": event.pull_request.title}.a',
    "-event.number",
    "event.number - 1",
    "event.number event.pull_request.title",
    "event.number +",
    "+ event.number",
    "string()",
    "string(event.number",
    "event.number)",
    "bytes(event.number)",
    r"'\x41'",
    'r"a"',
    '"""a"""',
    "'a\nb'",
    "event.number // event.pull_request.title",
    "event..number",
    "event.number.",
    ".event.number",
    "event.?number",
    "`event`.number",
    "ｅvent.number",
    "(" * 30 + "1" + ")" * 30,
    "1 + " * 300 + "1",
]


@pytest.mark.parametrize("expression", UNCLEAR)
def test_an_unknown_form_of_expression_counts_as_an_outsiders_choice(expression: str) -> None:
    """Its whole text is named: nothing is guessed, and no entry for a field allows it."""
    assert outsider_fields(expression) == (expression.strip(),)


def test_an_empty_expression_is_not_trusted() -> None:
    """It has no field that could be allowed, and is not harmless either."""
    assert outsider_chosen("  ") == outsider_chosen("") == "${{ }}"


def test_allowing_one_field_does_not_allow_its_neighbour() -> None:
    """With several fields, none may hide behind another."""
    expression = "event.pull_request.head.ref + event.pull_request.title"
    assert outsider_fields(expression) == ("event.pull_request.head.ref", "event.pull_request.title")
    assert outsider_chosen(expression) not in (
        None,
        "event.pull_request.head.ref",
        "event.pull_request.title",
    )


FIELD = [Piece(None, "event.number")]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("event.number", FIELD),
        ("string(event.number)", FIELD),
        ("int(event.number)", FIELD),
        ("(event . number)", FIELD),
        ("'a-' + string(event.number)", [Piece("a-"), *FIELD]),
        ('event.a + ("-" + event.b)', [Piece(None, "event.a"), Piece("-"), Piece(None, "event.b")]),
        ("017", [Piece("17")]),
        ("event.number + 1", [Piece(None)]),
        ("1 + 2", [Piece(None)]),
        ("int('1') + int('2')", [Piece(None)]),
        ("string(event.number + event.pull_request.id)", [Piece(None)]),
        ("'a' + event.number", [Piece(None)]),
        ("int(event.repository.name)", [Piece(None)]),
        ("size(event.a)", [Piece(None)]),
        ("", [Piece(None)]),
    ],
)
def test_the_parts_of_a_joined_text_are_listed(expression: str, expected: list[Piece]) -> None:
    """`+` joins texts; numbers are added, and a sum shows nothing of its parts."""
    assert list(pieces(expression)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("event.pull_request.head.ref", ("event.pull_request.head.ref",)),
        ("event.pull_request.head.ref.replace('/', '-')", ("event.pull_request.head.ref",)),
        ("event.pull_request.title.size()", ("event.pull_request.title",)),
        ("event.pull_request.base.ref.size()", ()),
        ("event.number > 1 ? event.sender.login : 'x'", ("event.sender.login",)),
        ("event.pull_request.merged ? 'a' : 'b'", ()),
        ("event.number", ()),
    ],
)
def test_outsiders_text_is_found_in_any_form_of_expression(
    expression: str, expected: tuple[str, ...]
) -> None:
    """For a warning, a field is also looked for in an expression that is not understood as a whole."""
    assert outsider_texts(expression) == expected
