"""A module that cannot be imported."""

raise RuntimeError("settings are missing")
