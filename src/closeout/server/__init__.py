"""HTTP: the receiver, health and metrics, and the pages that a status links to."""
