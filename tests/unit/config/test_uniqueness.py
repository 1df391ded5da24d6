"""One name, one subject, over the whole file: what is refused with which counter-example, and what passes."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from closeout.actions.registry import builtin
from closeout.config import collisions, languages, subjects
from closeout.config.collisions import TemplateAutomaton, common_texts
from closeout.config.fields import named
from closeout.config.findings import Finding
from closeout.config.languages import Budget, Undecided
from closeout.config.load import check
from closeout.config.subjects import Key, NameComparer
from closeout.config.uniqueness import OF_REF, SAFE
from closeout.core.automation import Step

REGISTRY = builtin()
HEAD = "version: 1\naws: { account: '123456789012', region: eu-central-1 }\nautomations:\n"
NUMBER = "${{ event.pull_request.number }}"
NAME = "${{ event.repository.name }}"
FULL = "${{ event.repository.full_name }}"
ID = "${{ event.repository.id }}"
OWNER = "${{ event.repository.owner.login }}"
BRANCH = "${{ event.pull_request.head.ref }}"
BASE = "${{ event.pull_request.base.ref }}"
OWNER_ID = "${{ event.repository.owner.id }}"
SHA = "${{ event.pull_request.head.sha }}"
GONE = "${{ event.ref }}"
CLOSED = "{ pull_request: { types: [closed] } }"
ALLOWED = "allow-untrusted: [event.pull_request.head.ref, event.ref]"


class Auto(NamedTuple):
    """An automation with one destructive step."""

    repositories: str
    inputs: str
    uses: str = "aws/cloudformation-delete-stack"
    on: str = CLOSED
    more: str = ""

    def yaml(self, name: str) -> str:
        text = f"""\
        {name}:
          on: {self.on}
          repositories: {self.repositories}{self.more}
          steps:
            - {{ uses: {self.uses}, with: {{ {self.inputs} }}, {ALLOWED} }}
        """
        return textwrap.indent(textwrap.dedent(text), "  ")


def stack(repositories: str, name: str, **more: str) -> Auto:
    return Auto(repositories, f"stack-name: '{name}'", **more)


def objects(repositories: str, prefix: str, more: str = "") -> Auto:
    return Auto(repositories, f"bucket: previews, prefix: '{prefix}'{more}", "aws/s3-delete-objects")


def build(repositories: str, project: str, environment: str) -> Auto:
    return Auto(repositories, f"project: {project}, environment: {environment}", "aws/codebuild-start-build")


STACK = "aws/cloudformation-delete-stack"


def step(name: str) -> Step:
    return Step(
        id="s", name="", uses=STACK, inputs={"stack-name": name}, timeout=1, retry_attempts=1, retry_backoff=1, destructive=True
    )  # fmt: skip


def errors(folder: Path, *automations: Auto) -> list[Finding]:
    path = folder / "closeout.yaml"
    path.write_text(HEAD + "".join(one.yaml(f"a{index}") for index, one in enumerate(automations)))
    return [finding for finding in check(path, REGISTRY) if finding.severity == "error"]


UNGUARDED = "\n          unguarded: true"
SHOP, WEB, ALL = "[acme/shop]", "[acme/web]", "['acme/*']"
PASSES = {
    "number": [stack(SHOP, f"preview-{NUMBER}")],
    "name-number": [stack(ALL, f"preview-{NAME}-{NUMBER}")],
    "number-name": [stack(ALL, f"preview-{NUMBER}-{NAME}")],
    "a constant name beside a number": [stack(SHOP, f"preview-{NAME}{NUMBER}")],
    "names of which none begins like another": [stack("[acme/shop, acme/web]", f"preview-{NAME}{NUMBER}")],
    "ids": [stack("['acme/*', 'beta/*']", f"preview-{ID}-{NUMBER}")],
    "an id before what could be read in two ways": [stack(ALL, f"p-{ID}-{NAME}{NUMBER}")],
    "the one repository's id": [stack(SHOP, f"preview-{ID}{NUMBER}")],
    "the owner's id, which is a number": [stack(ALL, f"p-{NAME}-{OWNER_ID}-{NUMBER}")],
    "pull request's id": [stack("['acme/*', 'beta/*']", "p-${{ event.pull_request.id }}")],
    "owner.name": [stack("['acme/*', 'beta-*/*']", f"p-{OWNER}.{NAME}-{NUMBER}")],
    "a sum of texts": [stack(ALL, 'p-${{ event.repository.name + "-" + string(event.number) }}')],
    "one repository twice": [stack(SHOP, f"p-{NUMBER}"), stack(SHOP, f"p-{NUMBER}")],
    "a name written out and filled in": [stack(SHOP, f"p-shop-{NUMBER}"), stack(ALL, f"p-{NAME}-{NUMBER}")],
    "a name filled in and written out": [stack(ALL, f"p-{NAME}-{NUMBER}"), stack(SHOP, f"p-shop-{NUMBER}")],
    "a name that holds the delimiter, which a run refuses": [
        objects("[acme/1-1]", f"{NAME}-{NUMBER}-", ", delimiter: '-'"),
        objects(WEB, f"1-1-{NUMBER}-", ", delimiter: '-'"),
    ],
    "what is taken back": [
        stack("['acme/*', '!acme/legacy']", f"p-{NAME}-{NUMBER}"),
        stack("[beta/legacy]", f"p-legacy-{NUMBER}"),
    ],
    "other account": [
        stack(SHOP, f"p-{NUMBER}"),
        Auto(WEB, f"stack-name: 'p-{NUMBER}', account: '999999999999'"),
    ],
    "other region": [stack(SHOP, f"p-{NUMBER}"), Auto(WEB, f"stack-name: 'p-{NUMBER}', region: eu-west-1")],
    "other action": [stack(SHOP, f"p-{NUMBER}"), build(WEB, f"'p-{NUMBER}'", "{ A: b }")],
    "a SHA before the number": [stack(SHOP, f"p-{SHA}{NUMBER}")],
    "bucket and prefix together": [
        Auto(ALL, f"bucket: 'b-{NAME}', prefix: '{NAME}{NUMBER}/'", "aws/s3-delete-objects")
    ],
    "full name": [objects("['acme/*', 'beta/*']", f"{FULL}/{NUMBER}/")],
    "below one's own prefix": [objects(SHOP, f"x/{NUMBER}/"), objects(SHOP, f"x/{NUMBER}/assets/")],
    "a delimiter that no value holds": [objects(ALL, f"{NAME}-{NUMBER}-", ", delimiter: '-'")],
    "handed on": [build(ALL, "teardown", f"{{ PR: '{NUMBER}', REPO: '{NAME}' }}")],
    "two dots, which a name may not have": [
        stack(ALL, f"p-{NAME}-{NUMBER}"),
        stack("[beta/shop]", f"p-a..b-{NUMBER}"),
    ],
    "branch": [stack(SHOP, f"p-{BRANCH}")],
    "branch, per repository": [stack(ALL, f"p-{ID}-{BRANCH}")],
    "branch and number": [stack(SHOP, f"p-{BRANCH}-{NUMBER}")],
    "a branch closed and a branch gone": [stack(SHOP, f"p-{BRANCH}"), stack(SHOP, f"p-{GONE}", on="delete")],
    "a field that the event has not": [
        stack(SHOP, f"p-{BASE}", on="delete"),
        stack(WEB, f"p-{GONE}", on="delete"),
    ],
    "a push": [stack(ALL, f"p-{NAME}", on="push", more=UNGUARDED)],
    "a dispatch for a pull request": [
        stack(SHOP, f"p-{NUMBER}"),
        stack(SHOP, "p-${{ event.issue.number }}", on="issue_comment", more=UNGUARDED),
    ],
}
COLLIDES = {
    "name and number (issue 7, 5)": (
        [stack("[acme/shop, acme/shop1]", f"preview-{NAME}{NUMBER}")],
        "acme/shop1#7 and acme/shop#17 both produce preview-shop17",
    ),
    "any names": ([stack(ALL, f"p-{NAME}{NUMBER}")], "both produce p-a77"),
    "two automations (issue 7, 5)": (
        [stack(SHOP, f"preview-{NUMBER}"), stack(WEB, f"preview-{NUMBER}")],
        "acme/shop#7 (in `automations.a0.steps[0].with.stack-name`, line 8) and acme/web#7 both produce preview-7",
    ),
    "two owners (issue 7, 6)": (
        [stack("[acme/shop, beta/shop]", f"preview-{NAME}-{NUMBER}")],
        "acme/shop#7 and beta/shop#7 both produce preview-shop-7",
    ),
    "owner-name": ([stack("['acme*/*']", f"p-{OWNER}-{NAME}-{NUMBER}")], " both produce p-acme-"),
    "ids": ([stack("[acme/shop, beta/shop]", f"p-{ID}{NUMBER}")], "acme/shop#7 (repository id 77) and beta/shop#77 (repository id 7)"),
    "a pull request's id": (
        [stack("['acme/*', 'beta/*']", f"p-{ID}${{{{ event.pull_request.id }}}}")],
        "acme/shop#7 (pull request id 7, repository id 77) and acme/web#7 (pull request id 77, repository id 7) both produce p-777",
    ),
    "no number": ([stack(SHOP, f"p-{NAME}")], "acme/shop#7 and acme/shop#17 both produce p-shop"),
    "on two events, of which the first is told": (
        [stack(SHOP, f"p-{NAME}", on="{ pull_request: { types: [closed] }, delete: }")],
        "acme/shop#7 and acme/shop#17 both produce p-shop",
    ),
    "base branch": ([stack(SHOP, f"p-{BASE}")], "acme/shop#7 and acme/shop#17 both produce p-a"),
    "sha": ([stack(SHOP, f"p-{SHA}")], "acme/shop#7 and acme/shop#17 both produce p-aaaa"),
    "numbers that are added up": ([stack(SHOP, "p-${{ event.number + event.repository.id }}")], "both produce p-"),
    "branch and number": ([stack(SHOP, f"p-{BRANCH}{NUMBER}")], "acme/shop#7 and acme/shop#77 both produce p-a77"),
    "branches of two repositories": ([stack("[acme/shop, acme/web]", f"p-{BRANCH}")], "branch a of acme/shop and branch a of acme/web"),
    "a branch called like a number": (
        [stack(SHOP, f"p-{NUMBER}"), stack(SHOP, f"p-{BRANCH}")],
        "and branch 7 of acme/shop both produce p-7",
    ),
    "a branch called like a number, before something else": (
        [stack(SHOP, f"p-{NUMBER}-{SHA}"), stack(SHOP, f"p-{BRANCH}-{SHA}")],
        "and branch 7 of acme/shop both produce p-7-aaaa",
    ),
    "a written out name": (
        [stack("[beta/shop]", f"p-shop-{NUMBER}"), stack(ALL, f"p-{NAME}-{NUMBER}")],
        "beta/shop#7 (in `automations.a0.steps[0].with.stack-name`, line 8) and acme/shop#7 both produce p-shop-7",
    ),
    "case": ([stack(SHOP, f"P-{NUMBER}"), stack(WEB, f"p-{NUMBER}")], "both produce p-7"),
    "a constant beside a number": ([stack(SHOP, "p-17"), stack(SHOP, f"p-{NUMBER}")], "and acme/shop#17 both produce p-17"),
    "a bucket in another region": (
        [
            objects(SHOP, f"x/{NUMBER}/"),
            objects(WEB, f"x/{NUMBER}/", ", region: eu-west-1"),
        ],
        "both produce previews, x/7/",
    ),
    "one prefix below another": (
        [objects(SHOP, f"x/{NUMBER}/"), objects(WEB, f"x/{NUMBER}/assets/")],
        "acme/web#7 produce previews, x/7/ and previews, x/7/assets/, and the shorter one also deletes what is below",
    ),
    "one prefix below another, behind two slashes": (
        [objects(SHOP, f"x/{NUMBER}/"), objects(WEB, f"x/{NUMBER}//assets/")],
        "acme/web#7 produce previews, x/7/ and previews, x/7//assets/, and the shorter one also deletes",
    ),
    "one prefix below another, behind a commit": (
        [objects(SHOP, f"{SHA}/{NUMBER}/"), objects(WEB, f"{SHA}/{NUMBER}/b/")],
        f"produce previews, {'a' * 40}/7/ and previews, {'a' * 40}/7/b/, and",
    ),
    "one prefix above another": (
        [objects(SHOP, f"x/{NUMBER}/assets/"), objects(WEB, f"x/{NUMBER}/")],
        "produce previews, x/7/assets/ and previews, x/7/, and",
    ),
    "a later part of an expression that begins with a dot": (
        [stack(ALL, f'p-${{{{ "x" + event.repository.name }}}}-{NUMBER}'), stack("[beta/shop]", f"p-x.a-{NUMBER}")],
        "acme/.a#7 (in ",
    ),
    "a full name whose second part begins with a dot": (
        [objects(ALL, f"{FULL}/{NUMBER}/"), objects("[beta/shop]", f"acme/.github/{NUMBER}/")],
        "acme/.github#7 (in ",
    ),
    "handed on": ([build(ALL, "teardown", f"{{ PR: '{NUMBER}' }}")], "both produce teardown, 7"),
    "handed on, twice": (
        [build(SHOP, "teardown", f"{{ PR: '{NUMBER}' }}"), build(WEB, "teardown", f"{{ PR: '{NUMBER}' }}")],
        "both produce teardown, 7",
    ),
    "handed on, with two dots": (
        [build(ALL, "teardown", f"{{ A: '{NAME}-{NUMBER}' }}"), build("[beta/shop]", "teardown", f"{{ A: 'a..b-{NUMBER}' }}")],
        "acme/a..b#7 (in ",
    ),
    "named alike, and more is handed on": (
        [build(SHOP, f"'t-{NUMBER}'", "{ A: b }"), build(WEB, f"'t-{NUMBER}'", "{ A: b, C: d }")],
        "both produce t-7",
    ),
    "named alike, and something else is handed on": (
        [build(SHOP, f"'t-{NUMBER}'", "{ A: b }"), build(WEB, f"'t-{NUMBER}'", "{ C: d }")],
        "both produce t-7",
    ),
    "refs that are gone": ([stack(SHOP, f"p-{NAME}", on="delete")], "branch main of acme/shop and branch next of acme/shop"),
}  # fmt: skip


@pytest.mark.parametrize("automations", PASSES.values(), ids=PASSES)
def test_names_that_can_be_read_in_one_way_only_pass(tmp_path: Path, automations: list[Auto]) -> None:
    """A false alarm would teach users to work around the check."""
    assert [finding.text() for finding in errors(tmp_path, *automations)] == []


@pytest.mark.parametrize(("automations", "says"), COLLIDES.values(), ids=COLLIDES)
def test_names_that_two_subjects_can_share_are_refused_with_both(
    tmp_path: Path, automations: list[Auto], says: str
) -> None:
    """One finding, at the last of the steps, with the two subjects and the name."""
    (found,) = errors(tmp_path, *automations)
    assert says in found.message
    assert found.code in ("shared-name", "name-without-repository")
    assert found.line == 8 + 5 * (len(automations) - 1)


@pytest.mark.parametrize("value", [BASE, "${{ event.pull_request.title }}"])
def test_a_payload_value_next_to_a_constant_name_is_a_warning(tmp_path: Path, value: str) -> None:
    """It may be a text for a chat. For another repository's name it stays an error."""
    path = tmp_path / "closeout.yaml"
    for repositories, severity in ((SHOP, "warning"), (ALL, "error")):
        inputs = f"url: 'https://chat.example.org/x', body: {{ text: 'Closed: {value}' }}"
        path.write_text(
            HEAD + Auto(repositories, inputs, "http/request").yaml("a").replace(f", {ALLOWED}", "")
        )
        found = [one for one in check(path, REGISTRY) if one.code != "untrusted-value"]
        assert [one.severity for one in found] == [severity]
        assert "destructive: false if the step deletes nothing" in found[0].fix


def test_a_warning_does_not_hide_a_name_shared_with_another_repository(tmp_path: Path) -> None:
    """The second finding alone is a warning, next to the first an error: the search must not stop early."""
    (found,) = errors(tmp_path, *(build(f"['{owner}/*']", "teardown", f"{{ A: '{NAME}' }}") for owner in ("acme", "beta")))  # fmt: skip
    assert "acme/a#7 (in " in found.message
    assert "and beta/a#7 both produce teardown, a" in found.message
    assert SAFE in found.fix


def test_a_part_of_an_expression_may_be_empty(tmp_path: Path) -> None:
    """Outsiders can choose an empty value: then only the rest of the expression remains."""
    empty = '${{ "x" + event.pull_request.title }}'
    allowed = ALLOWED.replace("[", "[event.pull_request.title, ")
    path = tmp_path / "closeout.yaml"
    pair = stack(SHOP, f"p{NUMBER}x"), stack(WEB, f"p{NUMBER}{empty}")
    path.write_text(HEAD + "".join(one.yaml(f"a{i}") for i, one in enumerate(pair)).replace(ALLOWED, allowed))
    found = [one.message for one in check(path, REGISTRY) if one.severity == "error"]
    assert len(found) == 1, found
    assert "acme/shop#7 (in " in found[0]
    assert "acme/web#7 both produce p7x" in found[0]


@pytest.mark.parametrize(
    "repositories", [SHOP, ALL, "['acme/*', 'beta/*', '!beta/x']", "['*-acme/s[ho]?p+']"]
)
def test_a_name_that_follows_the_advice_passes(tmp_path: Path, repositories: str) -> None:
    """For any repositories, alone and with others that follow it."""
    safe = [stack(repositories, f"preview-{SAFE}"), stack("['gamma/*']", f"preview-{SAFE}")]
    assert errors(tmp_path, *safe) == []
    (found,) = errors(tmp_path, stack("[acme/shop, beta/shop]", f"p-{NAME}-{NUMBER}"))
    assert SAFE in found.fix


def test_the_advice_for_a_deleted_ref_passes_too(tmp_path: Path) -> None:
    """A `delete` has no number: a name made of one would fail in each run."""
    (found,) = errors(tmp_path, stack(SHOP, f"p-{NAME}", on="delete"))
    assert found.fix == f"use {OF_REF}, with allow-untrusted: [event.ref]"
    (found,) = errors(tmp_path, stack(ALL, f"p-{NAME}-{GONE}", on="delete"))
    assert found.fix == f"use {OF_REF}"
    assert errors(tmp_path, stack("['acme/*', 'beta/*']", f"p-{OF_REF}", on="delete")) == []
    (found,) = errors(tmp_path, objects(ALL, f"{OF_REF}/")._replace(on="delete"))
    assert found.fix == f"use {OF_REF}, and `:` as delimiter, which no ref contains"
    assert errors(tmp_path, objects(ALL, f"{OF_REF}:", ", delimiter: ':'")._replace(on="delete")) == []
    (found,) = errors(tmp_path, stack(SHOP, f"p-{NUMBER}"), stack(SHOP, f"p-{GONE}", on="delete"))
    assert found.fix == f"use {OF_REF}, after a fixed text that differs in the two"


@pytest.mark.parametrize(
    ("automations", "fix"),
    [
        ([stack(SHOP, f"p-{BASE}")], f"add {NUMBER} to the name, after a `-`"),
        ([stack("[acme/shop, acme/web]", f"p-{BRANCH}")], f"use the number: {SAFE}"),
        ([stack(ALL, f"p-{GONE}", on="push", more=UNGUARDED)], f"begin the name with {ID}-"),
        ([stack(ALL, f"p-{NUMBER}")], f"use {SAFE}"),
        (
            [stack(SHOP, f"p-{NUMBER}"), stack(WEB, f"p-{NUMBER}")],
            f"use {SAFE}, or a fixed text that differs in the two",
        ),
        ([stack("['acme*/*']", f"p-{NAME}-{NUMBER}")], f"several owners can match: use {SAFE}"),
        (
            [stack(ALL, f"p-{NAME}{NUMBER}")],
            f"use {SAFE}, or separate the parts by a character that neither of them can contain",
        ),
    ],
)
def test_the_advice_names_what_is_missing(tmp_path: Path, automations: list[Auto], fix: str) -> None:
    """The number, the repository, its owner, or a separator; only fields of the event."""
    (found,) = errors(tmp_path, *automations)
    assert found.fix == fix


def test_passing_outsiders_text_to_a_deleting_step_is_a_warning(tmp_path: Path) -> None:
    """In a build's variables, a request's body, a script's environment, a function's arguments.

    A deleted branch is trusted.
    """
    steps = [
        ("shell", "run: 'true', env: { A: '%s' }"),
        ("python", "function: 'm:f', args: { a: '%s' }"),
        ("http/request", "url: https://example.org/x, body: { a: [{ b: '%s' }] }"),
        ("aws/codebuild-start-build", "project: teardown, environment: { A: '%s' }"),
    ]
    path = tmp_path / "closeout.yaml"
    for uses, inputs in steps:
        for text, expected in (
            (BRANCH, 1),
            ("${{ event.pull_request.head.ref.size() }}", 1),
            (NUMBER, 0),
            (GONE, 0),
        ):
            auto = Auto(SHOP, inputs % text, uses).yaml("a")
            for allowed, count in ((f", {ALLOWED}", 0), ("", expected)):
                path.write_text(HEAD + auto.replace(f", {ALLOWED}", allowed))
                found = [one.code for one in check(path, REGISTRY, modules=False)]
                assert found.count("untrusted-value") == count, (uses, text, allowed, found)
    only_that = "allow-untrusted: [event.pull_request.head.ref]"
    path.write_text(HEAD + Auto(SHOP, steps[0][1] % BRANCH, "shell").yaml("a").replace(ALLOWED, only_that))
    assert check(path, REGISTRY) == []


@pytest.mark.parametrize("repositories", ["acme/r{0}", "acme/r{0}-*", "a{0}-*/*"])
def test_fifty_automations_are_compared_quickly(repositories: str) -> None:
    """250 steps: by how names begin, and by one walk for each pair of templates."""
    keys = [
        Key(named(step(f"p{j}-{ID}-{NUMBER}"), REGISTRY[STACK], "pull_request"), (repositories.format(i),))  # type: ignore[arg-type]
        for i in range(50)
        for j in range(5)
    ]
    steps = NameComparer(keys, steps=100_000)
    assert all(steps.collision(one, two) is None for one, two in pairwise(keys))


def test_an_interrupted_search_never_says_that_two_names_differ() -> None:
    """However many steps there were: two subjects, or undecided."""
    key = Key(named(step(f"p-{NAME}{NUMBER}"), REGISTRY[STACK], "pull_request"), ("acme/*",))  # type: ignore[arg-type]
    undecided = 0
    for steps in range(0, 2_000, 25):
        try:
            assert NameComparer([key], steps=steps).collision(key, key) is not None
        except Undecided:
            undecided += 1
    assert 0 < undecided < 80


def test_each_character_that_two_names_share_counts_as_a_step() -> None:
    """A walk over two long names ends too, whatever is already known about each."""
    one, two = (TemplateAutomaton(["a" * 20], "a", Budget(0)) for _ in range(2))
    assert [meeting.text for meeting in common_texts(one, two, Budget(20))] == ["a" * 20]
    with pytest.raises(Undecided):
        list(common_texts(one, two, Budget(19)))


def test_a_hostile_file_costs_a_limited_search(tmp_path: Path) -> None:
    """Patterns whose automata explode are not fully walked, and a template of a hundred fields is not walked at all."""
    hostile = Key(
        named(step(f"p-{NAME}{NUMBER}"), REGISTRY[STACK], "pull_request"),  # type: ignore[arg-type]
        ("acme/*a" + "[ab]" * 14 + "*", "acme/*b" + "[ab]" * 15 + "*"),
    )
    comparer = NameComparer([hostile], steps=30_000)
    with pytest.raises(Undecided):
        comparer.collision(hostile, hostile)
    assert [found.code for found in errors(tmp_path, stack(SHOP, f"p-{NUMBER}-" * 101))] == ["undecided-name"]


def test_names_that_might_be_shared_are_refused(tmp_path: Path) -> None:
    """The search cannot count: it refuses a text of two equal halves, though only one reading exists, and says so."""
    assert [one.code for one in errors(tmp_path, stack(ALL, f"p-{NAME}{NAME}-{NUMBER}"))] == [
        "undecided-name"
    ]


@pytest.mark.parametrize(
    ("module", "automation"),
    [
        (collisions, stack("[acme/shop, acme/shop1]", f"preview-{NAME}{NUMBER}")),
        (languages, stack("['acme/*', beta/shop]", f"p-{NAME}-{NUMBER}")),
        (subjects, stack("['acme/*', 'beta/*']", f"p-{NAME}-{NUMBER}")),
    ],
)
def test_the_examples_of_the_modules_find_what_they_quote(
    tmp_path: Path, module: ModuleType, automation: Auto
) -> None:
    """The configuration is in the module's docstring, too."""
    (finding,) = errors(tmp_path, automation)
    quoted, said = (
        " ".join(str(module.__doc__).split()),
        finding.message.partition(": ")[2].partition(", so ")[0],
    )
    assert f'`{finding.code}`: "{said}"' in quoted
    assert automation.repositories in quoted
    assert automation.inputs.partition("'")[2].rstrip("'") in quoted
