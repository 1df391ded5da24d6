"""Check what can be wrong between GitHub and a deletion: one registry of checks for `doctor`, `drill` and the start of `serve`.

Each check asks one question over narrow ports, and an error never means "fine". The registry is in `registry.py`; each other
module has the checks of one subject.
"""
