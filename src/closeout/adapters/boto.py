"""Boto3's clients for the functions of a stack, and for commands that ask one.

Apart from what composes a worker, because the function that tells people has them in its bundle and not the worker's libraries.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def boto_clients(region: str) -> Callable[[str], Any]:
    """Return boto3's low-level clients of a region, each made once. Their waits are short, because the engine retries."""
    import boto3  # noqa: PLC0415 - half of a second
    from botocore.config import Config  # noqa: PLC0415

    session = boto3.Session(region_name=region)
    config = Config(
        connect_timeout=3.0,
        read_timeout=10.0,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=16,
        user_agent_extra="closeout",
    )
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, config=config)
        return made[service]

    return client


def boto_client(service: str, region: str | None) -> Any:
    """Return boto3's client of a service, for a secret or a topic of any region; None is the region of this process."""
    import boto3  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=5,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 2},
        user_agent_extra="closeout",
    )
    # boto3 knows AWS_DEFAULT_REGION and the profile; AWS_REGION is what every other SDK reads first.
    place = region or os.environ.get("AWS_REGION") or None
    # A session of its own: boto3's default one is not made for several threads.
    return boto3.Session().client(service, region_name=place, config=config)
