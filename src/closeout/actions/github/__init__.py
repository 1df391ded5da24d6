"""Actions on GitHub itself."""
