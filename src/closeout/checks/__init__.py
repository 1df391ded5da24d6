"""What can be wrong between GitHub and a deletion: one registry of checks for `doctor`, `drill` and the start of `serve`.

Each check asks one question over narrow ports, and an error of whatever it asks is never the answer "fine". The registry is
in `registry.py`; each other module holds the checks of one thing.
"""
