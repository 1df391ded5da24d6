"""The composition root: settings in, ready objects out.

The only place that knows which adapter implements which port. Heavy clients (boto3, TLS) are made when a run first needs
them, so that a server answers its first delivery within a quarter of a second.
"""
