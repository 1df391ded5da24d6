"""Errors: their text, and the data they carry."""

from __future__ import annotations

import pytest

from closeout.core.errors import (
    ActionFailed,
    CloseoutError,
    ConfigError,
    ServiceError,
    StepFailed,
    Unauthorized,
)

SENTENCE = "The time is up."
SERVICE = ServiceError(SENTENCE, service="github", operation="GET /x", reason="timeout", transient=True)


@pytest.mark.parametrize(
    "error",
    [
        CloseoutError(SENTENCE),
        ConfigError(SENTENCE, ("a finding",)),
        StepFailed("stack/apply", "timeout", SENTENCE),
        ActionFailed(SENTENCE, "The time is up"),
        SERVICE,
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_text_of_an_error_is_its_message(error: CloseoutError) -> None:
    """A log shows the text, without anything else that the error carries."""
    assert (str(error), error.message) == (SENTENCE, SENTENCE)


def test_a_refused_signature_hides_the_reason_from_the_sender() -> None:
    """Our log has the reason."""
    error = Unauthorized("no signature")
    assert (str(error), error.message, error.why) == (
        "Unauthorized request",
        "Unauthorized request",
        "no signature",
    )


def test_an_error_is_permanent_unless_marked_transient() -> None:
    """Only a transient error is worth a retry."""
    assert SERVICE.transient
    lasting = ServiceError(SENTENCE, service="aws", operation="DeleteStack", reason="AccessDenied")
    assert (lasting.transient, CloseoutError(SENTENCE).transient) == (False, False)
