"""The ledger: one folder for each store, and the modules that all stores share.

`docs/how-to/add-a-store.md` says what a further store implements.
"""
