"""The ledger: one folder for each store, and beside them what all stores share.

`docs/how-to/add-a-store.md` says what another store implements.
"""
