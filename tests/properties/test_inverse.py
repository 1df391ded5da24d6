"""Names read backwards: what a step renders gives its pull request back, and no other pull request renders to it."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.actions.registry import builtin
from closeout.config.inverses import inventories, naming
from closeout.core.automation import Automation, Step
from closeout.core.errors import CloseoutError
from closeout.run import inputs

ACTIONS = builtin()
REPOSITORIES = ("acme/shop", "acme/shop1", "acme/web-2", "beta/shop")
NUMBERS = (1, 7, 17, 117, 171)
PIECES = (
    "-",
    "1",
    "x",
    "${{ event.pull_request.number }}",
    "${{ string(event.number) }}",
    "${{ 'n' + string(event.number) }}",
    "${{ event.repository.name }}",
    "${{ event.repository.owner.login }}",
    "${{ event.pull_request.id }}",
    "${{ event.number + 1 }}",
)
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)


def step(uses: str, given: dict[str, str]) -> Step:
    return Step(
        id="s",
        name="",
        uses=uses,
        inputs=given,
        timeout=1,
        retry_attempts=1,
        retry_backoff=1,
        destructive=True,
    )


steps = st.one_of(
    texts.map(lambda text: step("aws/cloudformation-delete-stack", {"stack-name": "p" + text})),
    texts.map(lambda text: step("aws/s3-delete-objects", {"bucket": "previews", "prefix": "p" + text + "/"})),
)


def payload(repository: str, number: int) -> dict[str, Any]:
    owner, _, name = repository.partition("/")
    about = {"id": len(repository), "name": name, "full_name": repository, "owner": {"login": owner}}
    pull = {"number": number, "id": number + 5_000, "base": {"repo": about}}
    return {"action": "closed", "number": number, "pull_request": pull, "repository": about}


def rendered(made: Step, repository: str, number: int) -> dict[str, str] | None:
    """The naming inputs as the run itself makes them, None if it refuses them."""
    action = ACTIONS[made.uses]
    try:
        values = inputs.resolve(made, action, payload(repository, number))
    except CloseoutError:
        return None
    return {key: values[key] for key, spec in action.inputs.items() if spec.names and spec.required}


@settings(max_examples=150)
@given(steps)
def test_what_is_rendered_gives_its_pull_request_back(made: Step) -> None:
    """In each repository alone: render, then read backwards, and the number is the same. No other number renders so."""
    automation = Automation(
        name="a",
        triggers=({"event": "pull_request", "types": ["closed"]},),
        repositories=REPOSITORIES,
        steps=(made,),
    )
    (found,) = inventories([automation], ACTIONS)
    if found.reason is not None:
        return
    for repository in REPOSITORIES:
        form = naming(made, ACTIONS[made.uses], repository)
        assert not isinstance(form, str)
        for number, other in product(NUMBERS, NUMBERS):
            names = rendered(made, repository, number)
            if names is None:
                continue
            assert form.number(names) == number
            assert (rendered(made, repository, other) == names) == (other == number)
