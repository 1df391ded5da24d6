"""What a recording may cost at most: what its questions use, times the prices of `bench/costs.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.live.question import Question

UNLISTED = 0.01
"""Dollars for what the price list does not have: some thousand requests to SQS, S3 and CloudFormation's own calls."""


def ceiling(questions: Iterable[Question]) -> float:
    """Return US dollars."""
    from bench.costs import PRICES

    amounts: Counter[str] = Counter()
    for question in questions:
        amounts.update(question.uses)
    return UNLISTED + sum(PRICES[name].each * amount for name, amount in amounts.items())


def month() -> float:
    """Return US dollars for a month of closeout's own stack in which nothing happens."""
    from bench.costs import standing

    return sum(line.usd for line in standing())
