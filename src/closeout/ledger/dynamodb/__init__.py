"""The ledger in a DynamoDB table: deliveries, runs and operations of a stack, written by many processes.

`stack.table` has the table's layout, and the receiver, which has no AWS SDK, stores deliveries itself
(`lambdas/accepting.py`). Import from the modules: a worker that starts cold pays for each import.
"""
