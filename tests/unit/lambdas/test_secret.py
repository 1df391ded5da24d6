"""The webhook's secret from Secrets Manager: the current value, and for a day the previous one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from closeout.core.errors import SecretError, ServiceError
from closeout.core.secrets import PREVIOUS_SECONDS, Active
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.secret import WebhookSecret

ROTATED = 1_000.0


class Store:
    """Secrets Manager with these versions."""

    def __init__(self, **versions: dict[str, Any] | ServiceError) -> None:
        self.versions = versions

    def json_call(self, *args: Any, **named: Any) -> dict[str, Any]:
        """Answer a version."""
        request = next(
            one for one in (*args, *named.values()) if isinstance(one, dict) and "VersionStage" in one
        )
        found = self.versions.get(request["VersionStage"])
        if found is None:
            raise ServiceError("none", service="aws", operation="x", reason="ResourceNotFoundException")
        if isinstance(found, ServiceError):
            raise found
        return found


def active(now: float, **versions: Any) -> tuple[Active, ...]:
    """Return the values that hold."""
    return WebhookSecret(cast("AwsClient", Store(**versions)), lambda: now).read_active("webhook")


@pytest.mark.parametrize(
    ("now", "two"),
    [(ROTATED, True), (ROTATED + PREVIOUS_SECONDS - 1, True), (ROTATED + PREVIOUS_SECONDS, False)],
)
def test_the_previous_value_is_valid_for_a_day(now: float, two: bool) -> None:
    """To the second."""
    new, old = {"SecretString": "new", "CreatedDate": ROTATED}, {"SecretString": "old"}
    before = (Active("old", ROTATED + PREVIOUS_SECONDS),) if two else ()
    assert active(now, AWSCURRENT=new, AWSPREVIOUS=old) == (Active("new"), *before)


def test_a_value_without_a_date_has_no_previous_one() -> None:
    """Nor does one whose previous version is gone or empty."""
    assert active(
        PREVIOUS_SECONDS, AWSCURRENT={"SecretString": "new"}, AWSPREVIOUS={"SecretString": "old"}
    ) == (Active("new"),)
    dated = {"SecretString": "new", "CreatedDate": ROTATED}
    assert active(ROTATED, AWSCURRENT=dated) == (Active("new"),)
    assert active(ROTATED, AWSCURRENT=dated, AWSPREVIOUS={}) == (Active("new"),)


@pytest.mark.parametrize("current", [{}, {"SecretString": ""}, None])
def test_a_missing_value_comes_with_the_way_to_store_one(current: Any) -> None:
    """Before the first one was stored."""
    with pytest.raises(SecretError, match="has no value"):
        active(ROTATED, **({} if current is None else {"AWSCURRENT": current}))
