"""Actions that are not tied to one service."""
