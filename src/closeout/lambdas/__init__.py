"""Thin entry points of the AWS runtime: each passes an event to the same `intake` and `run` as on one machine."""
