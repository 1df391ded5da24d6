"""Actions that are about no particular service."""
