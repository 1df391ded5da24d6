"""The audit: find the resources that exist under the names of closed pull requests, and decide which are left over.

It only reads, and only over ports. A run deletes, after it has planned and checked everything again.
"""
