"""An existing token may be encrypted with its owner's key."""

from __future__ import annotations

from typing import Any

from support import Made, Make


def decrypting(made: Made, policy: str) -> list[dict[str, Any]]:
    """Return the statements about KMS."""
    return [one for one in made.statements(policy) if "kms:" in str(one.get("Action"))]


def test_who_reads_an_existing_token_may_decrypt_it_and_nothing_else(make: Make) -> None:
    """The handler of failed executions too: without it a failed run's status would stay pending."""
    made = make(githubTokenSecret="team/github")
    for policy in ("WorkerPolicy", "EndedPolicy"):
        (statement,) = decrypting(made, policy)
        assert (statement["Effect"], statement["Action"]) == ("Allow", "kms:Decrypt")
        assert set(statement["Condition"]) == {"StringEquals", "StringLike"}
        assert "secretsmanager." in str(statement["Condition"]["StringEquals"]["kms:ViaService"])
        assert "team/github-??????" in str(
            statement["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]
        )
    assert decrypting(made, "ReceiverPolicy") == []


def test_secrets_of_the_stack_need_no_key(standard: Made) -> None:
    """They have AWS's own."""
    assert all(decrypting(standard, f"{name}Policy") == [] for name in ("Worker", "Ended", "Receiver"))
