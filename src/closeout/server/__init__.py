"""HTTP: the receiver's door, health and metrics, and the pages that a status links to."""
