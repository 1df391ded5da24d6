"""Limits on a plan."""

from __future__ import annotations

import pytest

from closeout.core.errors import GuardRefused
from closeout.core.plan import Change
from closeout.run.guards import check_size


def changes(count: int, verb: str = "delete", objects: int = 0) -> list[Change]:
    """So many changes of one kind."""
    return [Change(verb=verb, resource=f"x{n}", reason="", objects=objects) for n in range(count)]


@pytest.mark.parametrize(
    "plan",
    [[], changes(50), changes(50) + changes(100, "keep") + changes(9, "run"), changes(1, objects=100_000)],
    ids=len,
)
def test_a_plan_within_its_limits_passes(plan: list[Change]) -> None:
    """Exactly the limit is allowed; kept resources and scripts do not count."""
    check_size(plan, max_changes=50, max_objects=100_000)


def test_a_plan_over_a_limit_is_refused_entirely() -> None:
    """The message has both numbers and says that nothing was done."""
    with pytest.raises(
        GuardRefused,
        match=r"^61 resources planned, max-changes allows 50; nothing was done\. .* raise max-changes$",
    ):
        check_size(changes(61), max_changes=50, max_objects=100_000)


def test_objects_are_counted_over_all_changes() -> None:
    """Many prefixes below the limit may exceed it together; a negative count subtracts nothing."""
    with pytest.raises(
        GuardRefused, match=r"^100,002 objects planned, max-objects allows 100,000; nothing.*max-objects$"
    ):
        check_size(changes(2, objects=50_001) + changes(1, objects=-50), max_changes=50, max_objects=100_000)


def test_an_unknown_verb_counts() -> None:
    """A new kind of change counts as a resource until it is classified."""
    with pytest.raises(GuardRefused, match=r"^2 resources planned"):
        check_size(changes(2, "shred"), max_changes=1, max_objects=0)


def test_a_limit_of_zero_refuses_everything() -> None:
    """0 is a limit, not "no limit"."""
    with pytest.raises(GuardRefused):
        check_size(changes(1), max_changes=0, max_objects=0)
