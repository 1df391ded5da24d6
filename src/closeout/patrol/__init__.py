"""Patrol: find the closings and deliveries that closeout did not hear of, from what GitHub's API lists.

Pure logic over narrow ports. It knows no SQLite, no thread and no clock of this machine, so a timer in `serve`, a command
and a schedule on AWS run the same code.
"""
