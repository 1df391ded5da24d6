"""The ledger in DynamoDB: runs for the worker's visits, views and requests for people.

The table's layout is `stack.table`'s. Import what is needed from the modules: a worker that starts cold pays for each.
"""
