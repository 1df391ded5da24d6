"""Patrol: find the closings and deliveries that closeout missed, in the lists of GitHub's API.

Pure logic over narrow ports. It uses no SQLite, no thread and not this machine's clock, so a timer in `serve`, a command and
a schedule on AWS run the same code.
"""
