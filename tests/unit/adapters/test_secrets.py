"""Secrets by reference: every form, every refusal, and no value in any message."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as known

from closeout.adapters.secrets import FILE_LIMIT, SecretReader
from closeout.core.errors import SecretError, ServiceError
from tests.unit.adapters.shown import shown

NOW = 1_800_000_000.0
DAY = 86_400.0


class Boto(Exception):
    """An error as botocore raises it."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class Vault:
    """A Secrets Manager client: versions by stage, a value or an error."""

    def __init__(self, **stages: Any) -> None:
        self.stages = stages
        self.asked: list[str] = []

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> Mapping[str, Any]:  # noqa: N803
        """Return a version, raise its error, or say that there is none."""
        self.asked.append(f"{SecretId} {VersionStage}")
        found = self.stages.get(VersionStage, Boto("ResourceNotFoundException"))
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


def version(text: str | bytes, *, age: float = 0.0) -> dict[str, Any]:
    """Return an answer of GetSecretValue, created `age` seconds before NOW."""
    kind = "SecretString" if isinstance(text, str) else "SecretBinary"
    return {kind: text, "CreatedDate": datetime.fromtimestamp(NOW - age, UTC)}


def refusal(call: Callable[[], object], *hidden: str) -> SecretError:
    """Return the SecretError of a call, and hold it against showing what is hidden."""
    with pytest.raises(SecretError) as caught:
        call()
    assert not [value for value in hidden if value in shown(caught.value)]
    return caught.value


def reader(vault: Vault | None = None, **environment: str) -> SecretReader:
    """Return a reader at NOW."""
    return SecretReader(environment, client=lambda _region: vault, now=lambda: NOW)


# --- env and file ---------------------------------------------------------------------------------------


def test_a_variable_is_read(tmp_path: Path) -> None:
    """`env:NAME` returns the variable's value unchanged, including spaces."""
    assert reader(HOOK=" s3cret ").read("env:HOOK") == (" s3cret ",)


def test_a_variable_that_is_missing_or_empty_is_refused() -> None:
    """An empty webhook secret would accept every request."""
    assert "HOOK" in refusal(lambda: reader().read("env:HOOK")).message
    empty = refusal(lambda: reader(HOOK="").read("env:HOOK")).message
    assert empty == "env:HOOK is empty; put the secret's value there", "it may be a token as well"


def test_a_variable_that_is_not_text_is_refused() -> None:
    """Its bytes are not shown."""
    assert "env:HOOK is not UTF-8 text" in str(refusal(lambda: reader(HOOK="\udcff").read("env:HOOK")))


@pytest.mark.parametrize("text", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_a_file_is_read_without_its_last_line_end(tmp_path: Path, text: str) -> None:
    """Editors end a file with a line end that is no part of the secret."""
    path = tmp_path / "hook"
    path.write_bytes(text.encode())
    path.chmod(0o600)
    assert SecretReader({}, directory=tmp_path).read("file:hook") == ("s3cret",)
    assert SecretReader({}).read(f"file:{path}") == ("s3cret",)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610, 0o644, 0o777])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    """The message says how to fix it. Anyone who can read or change the file has the secret."""
    path = tmp_path / "hook"
    path.write_text("s3cret")
    path.chmod(mode)
    assert "chmod 600" in refusal(lambda: SecretReader({}).read(f"file:{path}"), "s3cret").message


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe without a writer, bytes, nothing, too much: each has its message."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "huge").write_bytes(b"x" * (FILE_LIMIT + 1))
    for name in ("bytes", "empty", "huge"):
        (tmp_path / name).chmod(0o600)
    read = SecretReader({}, directory=tmp_path).read
    for name, word in {
        "gone": "No such file",
        ".": "Is a directory",
        "pipe": "not a file",
        "bytes": "UTF-8",
        "empty": "empty",
        "huge": "larger",
    }.items():
        assert word in refusal(lambda name=name: read(f"file:{name}")).message  # type: ignore[misc]


def test_a_secret_file_has_a_maximum_size(tmp_path: Path) -> None:
    """Up to it the file is read completely: half a key would fail without saying why."""
    path = tmp_path / "key"
    path.write_bytes(b"x" * FILE_LIMIT)
    path.chmod(0o600)
    assert SecretReader({}).read(f"file:{path}") == ("x" * FILE_LIMIT,)


@pytest.mark.parametrize("reference", ["", "hook", "env:", "vault:x", "aws-ssm:/x", "s3cret-itself"])
def test_an_invalid_reference_is_refused_without_repeating_it(reference: str) -> None:
    """It may be the secret itself, pasted into the wrong place."""
    assert "env:NAME" in refusal(lambda: reader().read(reference), "s3cret", "vault", "ssm").message


def test_the_redactor_learns_every_secret_that_is_read() -> None:
    """No value can be logged before it is known as a secret."""
    told: list[str] = []
    vault = Vault(AWSCURRENT=version("new", age=10), AWSPREVIOUS=version("old"))
    SecretReader({}, client=lambda _region: vault, now=lambda: NOW, on_value=told.append).read(
        "aws-secretsmanager:hook"
    )
    assert told == ["new", "old"]


# --- AWS Secrets Manager --------------------------------------------------------------------------------


def test_the_previous_version_is_accepted_for_a_day() -> None:
    """After the current one was created there is time to change the hook; then the old secret is refused."""
    young = Vault(AWSCURRENT=version("new", age=DAY - 1), AWSPREVIOUS=version("old", age=90 * DAY))
    assert reader(young).read("aws-secretsmanager:hook") == ("new", "old")
    old = Vault(AWSCURRENT=version("new", age=DAY), AWSPREVIOUS=version("old", age=90 * DAY))
    assert reader(old).read("aws-secretsmanager:hook") == ("new",)
    assert old.asked == ["hook AWSCURRENT"]


def test_the_previous_version_says_when_it_expires() -> None:
    """A cache must drop it in time."""
    vault = Vault(AWSCURRENT=version("new", age=100), AWSPREVIOUS=version("old"))
    current, former = reader(vault).read_active("aws-secretsmanager:hook")
    assert (current.until, former.until) == (None, NOW - 100 + DAY)


@pytest.mark.parametrize(
    ("created", "values"),
    [({"CreatedDate": NOW - 10.5}, ("new", "old")), ({"CreatedDate": None}, ("new",)), ({}, ("new",))],
)
def test_the_time_of_a_version_may_be_a_number_or_missing(
    created: dict[str, Any], values: tuple[str, ...]
) -> None:
    """The receiver's own client does not decode times. Without a time there is no previous version."""
    vault = Vault(AWSCURRENT={"SecretString": "new", **created}, AWSPREVIOUS=version("old"))
    assert reader(vault).read("aws-secretsmanager:hook") == values


def test_a_secret_without_a_previous_version_has_one_value() -> None:
    """The first version of a secret has no predecessor."""
    assert reader(Vault(AWSCURRENT=version("only"))).read("aws-secretsmanager:hook") == ("only",)


def test_one_key_of_a_json_secret_is_read() -> None:
    """`NAME#key`; a name that is an ARN keeps its colons."""
    vault = Vault(AWSCURRENT=version('{"hook": "h", "token": "t"}', age=1), AWSPREVIOUS=version("no json"))
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:closeout-AbCdEf"
    assert reader(vault).read(f"aws-secretsmanager:{arn}#token") == ("t",)
    assert vault.asked[0] == f"{arn} AWSCURRENT"


@pytest.mark.parametrize(
    "text", ["plain s3cret", '["s3cret"]', '{"hook": 3}', '{"other": "s3cret"}', '{"hook": ""}']
)
def test_a_missing_json_key_is_reported_without_the_secret(text: str) -> None:
    """The message names the key, never the contents."""
    refusal(
        lambda: reader(Vault(AWSCURRENT=version(text, age=2 * DAY))).read("aws-secretsmanager:x#hook"),
        "s3cret",
    )


def test_a_binary_secret_is_accepted_if_it_is_text() -> None:
    """Some tools store it with `--secret-binary`."""
    assert reader(Vault(AWSCURRENT=version(b"s3cret\n", age=2 * DAY))).read("aws-secretsmanager:x") == (
        "s3cret",
    )
    refusal(lambda: reader(Vault(AWSCURRENT=version(b"\xff\xfe", age=2 * DAY))).read("aws-secretsmanager:x"))


@pytest.mark.parametrize(
    ("error", "word", "transient"),
    [
        (Boto("ResourceNotFoundException"), "no such secret", False),
        (Boto("AccessDeniedException"), "GetSecretValue", False),
        (Boto("InvalidRequestException"), "deleted", False),
        (Boto("ThrottlingException"), "Throttling", True),
        (Boto("InternalServiceError", 500), "InternalServiceError", True),
        (Boto("Busy", 429), "AWS answered (Busy)", True),
        (Boto("Odd", 428), "AWS answered (Odd)", False),
        (known.EndpointConnectionError(endpoint_url="u"), "no connection to AWS", True),
        (known.ConnectTimeoutError(endpoint_url="u"), "no connection to AWS", True),
        (known.ReadTimeoutError(endpoint_url="u"), "AWS did not answer in time", True),
        (known.NoRegionError(), "set AWS_REGION", False),
        (known.NoCredentialsError(), "no AWS credentials", False),
        (
            ServiceError("x", service="secretsmanager", operation="o", reason="NoCredentials"),
            "no AWS credentials",
            False,
        ),
        (
            ServiceError(
                "x", service="secretsmanager", operation="o", reason="ConnectTimeout", transient=True
            ),
            "ConnectTimeout",
            True,
        ),
    ],
)
def test_an_aws_error_says_what_to_do_and_whether_it_is_transient(
    error: Exception, word: str, transient: bool
) -> None:
    """The same with boto3's own errors and those of AwsClients."""
    raised = refusal(lambda: reader(Vault(AWSCURRENT=error)).read("aws-secretsmanager:hook"))
    assert word in raised.message
    assert raised.transient == transient


def test_a_missing_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3's own client, which `serve` uses to read its secrets, names it too."""
    monkeypatch.setenv("AWS_PROFILE", "nope")
    raised = refusal(lambda: SecretReader(region="eu-central-1").read("aws-secretsmanager:hook"))
    assert "the profile that AWS_PROFILE names is not in the AWS configuration" in raised.message


def test_an_unreadable_previous_version_is_an_error() -> None:
    """Half of a rotation is a failed read: the cached values stay."""
    vault = Vault(AWSCURRENT=version("s3cret"), AWSPREVIOUS=Boto("ThrottlingException"))
    assert refusal(lambda: reader(vault).read("aws-secretsmanager:hook"), "s3cret").transient


def test_an_empty_previous_version_never_counts() -> None:
    """An empty secret would accept every request, for a day."""
    vault = Vault(AWSCURRENT=version("new"), AWSPREVIOUS=version(""))
    assert reader(vault).read("aws-secretsmanager:hook") == ("new",)


def test_an_arn_is_read_in_its_own_region() -> None:
    """A secret may be in another region than the rest; each region has one client."""
    regions: list[str | None] = []

    def make(region: str | None) -> Vault:
        regions.append(region)
        return Vault(AWSCURRENT=version("s", age=2 * DAY))

    secrets = SecretReader({}, client=make, region="eu-central-1", now=lambda: NOW)
    for name in ("a", "b", "arn:x:y", "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf"):
        secrets.read(f"aws-secretsmanager:{name}")
    assert regions == ["eu-central-1", "us-east-1"]


def test_a_systemd_credential_may_have_a_group_bit(tmp_path: Path) -> None:
    """LoadCredential= shows mode 0440 although nobody else can read it; access for others is still refused."""
    path = tmp_path / "hook"
    path.write_text("s3cret")
    path.chmod(0o440)
    here = SecretReader({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert here.read(f"file:{path}") == ("s3cret",)
    refusal(lambda: SecretReader({"CREDENTIALS_DIRECTORY": "/elsewhere"}).read(f"file:{path}"))
    path.chmod(0o444)
    refusal(lambda: here.read(f"file:{path}"))


def test_boto3_reads_from_secrets_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against moto: current, previous, and none."""
    import boto3
    from moto import mock_aws

    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        store = boto3.client("secretsmanager", region_name="eu-central-1")
        store.create_secret(Name="hook", SecretString="first")
        read = SecretReader({}, region="eu-central-1").read
        assert read("aws-secretsmanager:hook") == ("first",)
        store.put_secret_value(SecretId="hook", SecretString="second")
        assert read("aws-secretsmanager:hook") == ("second", "first")
        assert "no such secret" in refusal(lambda: read("aws-secretsmanager:other")).message
