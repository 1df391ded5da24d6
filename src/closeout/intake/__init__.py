"""Verify, decode and match deliveries, without depending on an HTTP server."""

from closeout.intake.receiver import Decision, Receiver
