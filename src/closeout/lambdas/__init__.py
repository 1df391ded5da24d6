"""Thin entry points of the AWS runtime: each gives an event to what `intake` and `run` do everywhere."""
