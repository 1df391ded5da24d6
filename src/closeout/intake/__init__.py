"""The only way in: verify, dedupe, match, store, answer, over ports and without a word of HTTP servers."""

from closeout.intake.receiver import Decision, Receiver

__all__ = ["Decision", "Receiver"]
