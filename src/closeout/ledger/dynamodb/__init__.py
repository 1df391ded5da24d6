"""The ledger in a DynamoDB table: deliveries, runs and operations of a stack, written by many processes.

`stack.table` has the table's layout. The receiver, which has no AWS SDK, stores deliveries itself: see `lambdas`. Import
from the modules directly, because each import delays a cold start of the worker.
"""
