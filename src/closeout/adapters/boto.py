"""boto3's clients for the functions of a stack, and for commands that call one.

They are separate from the worker's composition, because the bundle of the function that sends messages contains them but not
the worker's libraries.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any


def boto_clients(region: str) -> Callable[[str], Any]:
    """Return boto3's low-level clients of a region, each created once. Their timeouts are short, because the engine retries."""
    import boto3  # noqa: PLC0415 - half of a second

    session = boto3.Session(region_name=region)
    return cache(partial(session.client, config=_config(3, connect_timeout=3.0)))


def boto_client(service: str, region: str | None) -> Any:
    """Return boto3's client of a service in any region, for a secret or a topic; None is the region of this process."""
    import boto3  # noqa: PLC0415 - as above

    # boto3 reads AWS_DEFAULT_REGION and the profile; every other SDK reads AWS_REGION first.
    name = region or os.environ.get("AWS_REGION") or None
    # A new session, because boto3's default one does not support several threads.
    return boto3.Session().client(service, region_name=name, config=_config(2, connect_timeout=5.0))


def _config(attempts: int, connect_timeout: float) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - as above

    return Config(
        connect_timeout=connect_timeout,
        read_timeout=10.0,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=16,
        user_agent_extra="closeout",
    )
