"""The rule of names: if a file loads, no two subjects give one name; if it does not, the two that are shown do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.actions.registry import builtin
from closeout.config import cel, load
from closeout.config.collisions import Subject
from closeout.config.fields import named
from closeout.config.languages import Undecided
from closeout.config.subjects import Key, NameComparer
from closeout.core.automation import Automation, Step
from closeout.core.errors import CloseoutError
from closeout.core.patterns import compile_patterns
from closeout.run import inputs

REGISTRY = builtin()
REF = "event.pull_request.head.ref"
OWNERS, NAMES, NUMBERS, REFS = (
    ("acme", "a", "a-b"),
    ("shop", "shop1", "b", "b-c", "1", "1-7"),
    (1, 7, 17),
    ("1", "x", "x-1"),
)
FIELDS = (
    "event.pull_request.number",
    "event.number",
    "event.repository.name",
    "event.repository.full_name",
    "event.repository.owner.login",
    "event.repository.id",
    "event.pull_request.id",
    REF,
)  # fmt: skip
PATTERNS = (
    "acme/shop",
    "acme/shop1",
    "acme/*",
    "a/b-c",
    "a-b/*",
    "a*/b*",
    "!acme/shop",
    "a/*",
    "acme/s[ho]*p1?",
    "[ab]/b",
)
pieces = st.sampled_from(
    [
        "-",
        "1",
        "x",
        "/",
        ".",
        *("${{ " + field + " }}" for field in FIELDS),
        "${{ event.repository.name + '-' + string(event.number) }}",
    ]
)
texts = st.lists(pieces, min_size=1, max_size=5).map("".join)
patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).filter(
    lambda found: not found[0].startswith("!")
)


def stack(name: str) -> dict[str, Any]:
    return {"uses": "aws/cloudformation-delete-stack", "with": {"stack-name": "p" + name}}


def objects(bucket: str, prefix: str, delimiter: str) -> dict[str, Any]:
    return {"uses": "aws/s3-delete-objects", "with": {"bucket": "p" + bucket, "prefix": "p" + prefix + delimiter, "delimiter": delimiter}}  # fmt: skip


def build(project: str, value: str) -> dict[str, Any]:
    return {
        "uses": "aws/codebuild-start-build",
        "with": {"project": "p" + project, "environment": {"VALUE": value}},
    }


steps = st.one_of(
    texts.map(stack),
    st.builds(objects, texts, texts, st.sampled_from("/-.")),
    st.builds(build, texts, texts),
)
files = st.lists(st.tuples(patterns, st.lists(steps, min_size=1, max_size=2)), min_size=1, max_size=2)


def written(file: Iterable[tuple[list[str], list[dict[str, Any]]]]) -> dict[str, Any]:
    automations = {
        f"a{index}": {
            "on": {"pull_request": {"types": ["closed"]}},
            "repositories": found,
            "steps": [
                {**step, "id": f"s{number}", "allow-untrusted": [REF]} for number, step in enumerate(made)
            ],
        }
        for index, (found, made) in enumerate(file)
    }
    return {
        "version": 1,
        "aws": {"account": "123456789012", "region": "eu-central-1"},
        "automations": automations,
    }


def payload(owner: str, name: str, number: int, ref: str, ids: dict[str, int]) -> dict[str, Any]:
    """A closed pull request. Ids that are not given are different for different things."""
    repository = {
        "id": ids.get("repository-id", 5_000 + hash((owner, name)) % 1_000_003),
        "name": name,
        "full_name": f"{owner}/{name}",
        "owner": {"login": owner, "id": ids.get("owner-id", 7_000 + hash(owner) % 1_000_003)},
    }
    pull = {
        "number": number,
        "id": ids.get("pull-request-id", 9_000_000 + hash((owner, name, number)) % 1_000_000_007),
        "head": {"ref": ref, "repo": repository},
        "base": {"repo": repository},
    }
    return {"action": "closed", "number": number, "pull_request": pull, "repository": repository}


def rendered(step: Step, event: dict[str, Any]) -> tuple[str, ...] | None:
    """What the run itself makes of the inputs that name or are handed on, None if it refuses them."""
    try:
        values = inputs.resolve(step, REGISTRY[step.uses], event)
    except CloseoutError:
        return None
    keys = ("stack-name", "bucket", "project", "environment", "prefix")
    return tuple(
        json.dumps(values[key]).lower() if key != "prefix" else values[key].lower()
        for key in keys
        if key in values
    )


def subject(step: Step, owner: str, name: str, number: int, ref: str) -> tuple[Any, ...]:
    """What the name is about: the pull request, or the branch if the step is named after it."""
    text = json.dumps(step.inputs)
    by_branch = REF in text and "number" not in text and "pull_request.id" not in text
    return ("branch", owner, name, ref) if by_branch else ("number", owner, name, number)


def same(one: tuple[str, ...], two: tuple[str, ...], uses: str) -> bool:
    """Whether the one deletes what is the other's."""
    if uses != "aws/s3-delete-objects":
        return one == two
    begins = one[1].startswith(two[1]) or two[1].startswith(one[1])
    return one[0] == two[0] and begins


def names_of(automations: Iterable[Automation]) -> Iterator[tuple[str, tuple[Any, ...], tuple[str, ...]]]:
    for automation in automations:
        compiled = compile_patterns(automation.repositories, "name")
        for owner, name, number, ref in product(OWNERS, NAMES, NUMBERS, REFS):
            if compiled.matches(f"{owner}/{name}"):
                event = payload(owner, name, number, ref, {})
                for step in automation.steps:
                    text = rendered(step, event)
                    if text is not None:
                        yield step.uses, subject(step, owner, name, number, ref), text


@settings(max_examples=20)
@given(files)
def test_a_file_that_loads_never_gives_two_subjects_one_name(
    tmp_path_factory: Any, file: list[tuple[list[str], list[dict[str, Any]]]]
) -> None:
    """All subjects of a small world, rendered by the run's own code."""
    path: Path = tmp_path_factory.getbasetemp() / "law.yaml"
    path.write_text(json.dumps(written(file)), encoding="utf-8")
    found = load.check(path, REGISTRY, modules=False)
    if any(finding.severity == "error" for finding in found):
        return
    loaded = load.load(path, REGISTRY, modules=False)
    if any(finding.code == "constant-name" for finding in found):
        return
    by_name: dict[str, list[tuple[tuple[str, ...], tuple[Any, ...]]]] = {}
    for uses, about, text in names_of(loaded.automations):
        by_name.setdefault(uses, []).append((text, about))
    for uses, rows in by_name.items():
        # In this order what begins like a name comes right behind it.
        rows.sort(key=lambda row: row[0])
        for (one, first), (two, second) in pairwise(rows):
            assert first == second or not same(one, two, uses), (first, second, one, two)


def event_of(found: Subject) -> dict[str, Any]:
    ids = {key: int(value) for key, value in found.ids}
    return payload(found.owner, found.name, int(found.number or 1), found.ref or "x", ids)


@settings(max_examples=20)
@given(files)
def test_every_counter_example_collides_when_it_is_rendered(
    file: list[tuple[list[str], list[dict[str, Any]]]],
) -> None:
    """The two subjects match, differ, and the run's own code makes one name of them: the one that is shown."""
    uses = [
        (Step(id="s", name="", uses=step["uses"], inputs=step["with"], timeout=1, retry_attempts=1, retry_backoff=1, destructive=True), found)
        for found, made in written(file)["automations"].items()
        for step in made["steps"]
        for found in [tuple(made["repositories"])]
    ]  # fmt: skip
    keys = [
        (Key(shape, found), step)
        for step, found in uses
        if (shape := named(step, REGISTRY[step.uses], "pull_request"))
    ]
    comparer = NameComparer([key for key, _ in keys], steps=10_000_000)
    for (one, first), (two, second) in product(keys, repeat=2):
        if first.uses != second.uses:
            continue
        try:
            found = comparer.collision(one, two)
        except Undecided:
            assert loose(one) or loose(two)
            continue
        if found is None or any(
            kind.named.kind == "number" and REF in json.dumps(step.inputs)
            for kind, step in ((one, first), (two, second))
        ):
            continue  # a branch beside a number may be anything, and is not part of what is shown
        assert compile_patterns(one.repositories, "name").matches(f"{found.one.owner}/{found.one.name}")
        assert compile_patterns(two.repositories, "name").matches(f"{found.two.owner}/{found.two.name}")
        assert found.one != found.two
        left, right = (filled(step, event_of(it)) for step, it in ((first, found.one), (second, found.two)))
        assert same(left, right, first.uses), (found, left, right)


def loose(key: Key) -> bool:
    """Whether values hang together in ways that are not looked at: one field twice, or an id, which a repository fixes."""
    shown = [item.variable for item in key.named.whole.items if not isinstance(item, str) and item.variable]
    return len(shown) > len(set(shown)) or any(name.endswith("-id") for name in shown)


def filled(step: Step, event: dict[str, Any]) -> tuple[str, ...]:
    """The texts as templates fill them in, whatever form the action then demands of the whole."""
    keys = ("stack-name", "bucket", "project", "environment", "prefix")
    return tuple(
        cel.interpolate(json.dumps(step.inputs[key]) if key != "prefix" else step.inputs[key], event).lower()
        for key in keys
        if key in step.inputs
    )
