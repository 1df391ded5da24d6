"""What is printed at the end of a recording: only what differs, and what is wrong then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live import comparison, cost, record
from tests.live.account import ROOT
from tests.live.question import Document, Expected, Question

DOCUMENT = Document("It fails.", "https://docs.aws.amazon.com/page")
QUESTION = Question(
    id="asked", asks="?", expects=(Expected("status", "FAILED", DOCUMENT),), ask=lambda _recording: {}
)


def said(status: str, *fields: str) -> comparison.Summary:
    """Return a summary with one finding."""
    return {"findings": {"status": status}, "fields": {"events": list(fields)}}


@pytest.mark.parametrize(
    ("account", "emulated", "lines"),
    [
        (said("FAILED", "a"), said("FAILED", "a"), []),
        (None, said("FAILED"), ["asked: not asked"]),
        ({"failed": "no"}, said("FAILED"), ["asked: asking failed: no"]),
        (said("FAILED"), None, ["asked: the emulator has no answer to compare with"]),
        (
            said("STOPPED"),
            said("STOPPED"),
            [
                "asked, status: the account says STOPPED, the documents FAILED. Wrong, or misread: It fails. https://docs.aws.amazon.com/page"
            ],
        ),
        (
            said("FAILED"),
            said("RUNNING"),
            ["asked, status: the account says FAILED, the emulator RUNNING"],
        ),
        (
            said("FAILED", "a", "b"),
            said("FAILED", "b", "c"),
            ["asked, events: only the account has a", "asked, events: only the emulator has c"],
        ),
    ],
)
def test_only_what_differs_is_said(account: Any, emulated: Any, lines: list[str]) -> None:
    """Agreement is silent; a difference names the document or the emulator."""
    answers = {"asked": account} if account else {}
    known = {"asked": emulated} if emulated else {}
    assert list(comparison.differences([QUESTION], answers, known)) == lines


def test_fields_of_lambda_events_and_letters_are_compared() -> None:
    """Lists count as one item; other services' answers are not our emulator's business."""
    fixture = {
        "findings": {},
        "events": [{"detail": {"status": "FAILED"}}, {"detail": {"version": "1"}}],
        "dead letters": [],
        "calls": [
            {"call": "lambda.Get", "answer": {"Items": [{"A": 1}, {"B": 2}]}},
            {"call": "s3.Put", "answer": {"C": 3}},
        ],
    }
    fields = comparison.summary(fixture)["fields"]
    assert fields == {"events": ["detail.status", "detail.version"], "lambda.Get": ["Items[].A", "Items[].B"]}


def test_every_question_has_an_answer_of_the_emulator() -> None:
    """`python -m tests.live --emulator --write` keeps them: all but those of thousands of operations."""
    assert set(comparison.emulator()) == {question.id for question in record.ALL} - set(record.LONG)


def test_what_was_begun_runs_beside_the_others_and_the_last_take_things_away() -> None:
    """Crashes and polls take their time while closeout's stack is asked; then the functions may go."""
    order = [question.id for question in record.in_order(record.ALL)]
    assert order[-4:] == ["polls", "destroy-own", "destroy-waiting", "full-bucket"]
    assert order.index("deploy") < order.index("crash")
    assert len(order) == len(set(order))


def test_the_price_is_calculated_from_the_price_list() -> None:
    """A question that uses a thousand operations costs a thousand operations, and nothing unlisted is hidden in it."""
    one = Question(id="one", asks="?", expects=(), ask=lambda _: {}, uses={"Durable operations": 1_000})
    assert cost.ceiling([one, one]) == pytest.approx(cost.UNLISTED + 2 * 1_000 * 8 / 1_000_000)
    assert cost.UNLISTED < cost.ceiling(record.ALL) < 1


def test_the_page_about_the_emulated_aws_lists_every_question() -> None:
    """What a recording will settle stands where a reader looks for what is not settled."""
    page = (ROOT / "docs/reference/emulated-aws.md").read_text("utf-8")
    assert [question.asks for question in record.ALL if f"| {question.asks} |" not in page] == []
