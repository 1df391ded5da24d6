"""The audit: which resources exist under the names of closed pull requests, and are they really left over.

It reads only, and over ports only. Deleting is a run's business, which plans and checks everything again.
"""
