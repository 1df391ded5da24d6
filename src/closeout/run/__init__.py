"""The run: written once, over the ports, for every engine.

Accepted, paths and condition, `pending`, each step (condition, plan, guards, apply, verify), final status.
"""
