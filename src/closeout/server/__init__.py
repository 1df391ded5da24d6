"""The HTTP server: webhook, health, metrics, and the run pages that commit statuses link to."""
