"""Actions on GitHub."""
