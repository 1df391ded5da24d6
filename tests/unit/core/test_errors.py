"""Errors: their text, and what they carry."""

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
def test_the_text_of_an_error_is_its_sentence(error: CloseoutError) -> None:
    """A log shows the text; whatever else an error carries is not in it."""
    assert (str(error), error.message) == (SENTENCE, SENTENCE)


def test_a_refused_signature_says_nothing_of_the_reason() -> None:
    """The sender learns that it is refused; our log learns why."""
    error = Unauthorized("no signature")
    assert (str(error), error.message, error.why) == (
        "Unauthorized request",
        "Unauthorized request",
        "no signature",
    )


def test_what_is_not_said_to_pass_by_itself_stays() -> None:
    """Only an error that is marked so is worth another try."""
    assert SERVICE.transient
    lasting = ServiceError(SENTENCE, service="aws", operation="DeleteStack", reason="AccessDenied")
    assert (lasting.transient, CloseoutError(SENTENCE).transient) == (False, False)
