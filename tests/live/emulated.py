"""The same recording against the emulated account on this machine, with the rights of the documented policy and no more."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.aws.deployment import Cdk
from tests.aws.world import EMULATOR
from tests.emulator.launcher import Ministack

POLICY = Path(__file__).with_name("policy.json")
PROFILE = "recording"


@contextmanager
def account(tell: Callable[[str], None]) -> Iterator[Ministack]:
    """Start and bootstrap an emulated account; yield it. The environment names a user with the policy."""
    with tempfile.TemporaryDirectory(prefix="closeout-recorded-") as name:
        folder = Path(name)
        with Ministack(EMULATOR, folder) as cloud:
            tell(f"An emulated account at {cloud.url}; it is bootstrapped")
            Cdk(cloud, folder, {}).bootstrap()
            before = dict(os.environ)
            os.environ.update({**cloud.environment(), **_profile(user(cloud), folder)})
            for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                os.environ.pop(key, None)
            try:
                yield cloud
            finally:
                os.environ.clear()
                os.environ.update(before)


def user(cloud: Ministack) -> dict[str, str]:
    """Make a user that has the policy; return its keys."""
    iam = cloud.client("iam")
    iam.create_user(UserName=PROFILE)
    iam.put_user_policy(UserName=PROFILE, PolicyName="recording", PolicyDocument=POLICY.read_text("utf-8"))
    keys: dict[str, str] = iam.create_access_key(UserName=PROFILE)["AccessKey"]
    return keys


def _profile(keys: dict[str, str], folder: Path) -> dict[str, str]:
    """Write a profile with these keys; return the variables with which it is found."""
    path = folder / "credentials"
    path.write_text(
        f"[{PROFILE}]\naws_access_key_id = {keys['AccessKeyId']}\n"
        f"aws_secret_access_key = {keys['SecretAccessKey']}\n",
        "utf-8",
    )
    return {"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_CONFIG_FILE": os.devnull}
