"""The repository as a stranger clones it: no trace of one machine, pinned by hash, links that lead somewhere."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

import closeout
from tests.architecture.tree import ROOT, files, listing, place, text_of
from tests.mutants import aws
from tests.mutants.catalogue import MUTANTS

# Each pattern is put together from pieces, so that this file does not hold what it forbids.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~-])/" + "(?:work|root|farm)" + r"/\w",
    "a registry's address": "|".join(
        name.replace(" ", r"\.")
        for name in (
            "pypi" + " org",
            "pythonhosted" + " org",
            "npmjs" + " org",
            "npmjs" + " com",
            "deb " + "debian org",
        )
    ),
    "working notes that are not part of the repository": (
        r"\b(?:DESIGN|FACTS|FIELD|STYLE|BRIEF|APIS)(?:\.md|\s[§])|\\.\./shar[e]d"
    ),
}
LICENCE_TEXTS = {"LICENSE"}


def project() -> dict[str, Any]:
    """pyproject.toml, decoded."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    """What is committed works on any machine and speaks only of what is in the repository."""
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{place(path, number)}: {line.strip()[:120]}"
        for path in files()
        if path.name not in LICENCE_TEXTS and (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, listing(found)


def requirement_files() -> list[Path]:
    """The locked requirements."""
    return sorted((ROOT / "requirements").glob("*.txt"))


def test_every_requirement_is_pinned_by_hash() -> None:
    """Each locked requirement has one version and at least one SHA-256, and no option says where to fetch it."""
    faults = []
    for path in requirement_files():
        entries = re.sub(r"\s*\\\n\s*", " ", path.read_text("utf-8")).splitlines()
        for entry in entries:
            if not entry.strip() or entry.lstrip().startswith("#"):
                continue
            if not re.match(
                r"^[a-z0-9][\w.-]*(\[[\w,-]+\])?==\S+( ; [^\\]+?)?( --hash=sha256:[0-9a-f]{64})+$", entry
            ):
                faults.append(f"{place(path)}: {entry[:100]}")
    assert requirement_files(), "there are no locked requirements"
    assert not faults, listing(faults)


def locked(name: str) -> dict[str, str]:
    """Package name → version, of requirements/<name>.txt."""
    return dict(
        re.findall(
            r"(?m)^([a-z0-9][\w.-]*)(?:\[.*?\])?==(\S+)",
            (ROOT / f"requirements/{name}.txt").read_text("utf-8"),
        )
    )


def test_the_wheel_and_the_locked_runtime_name_the_same_packages() -> None:
    """What pyproject.toml depends on is what requirements/runtime.in locks, and dev.txt adds to it without a change."""
    declared = {re.split(r"[\[<>=~ ]", entry)[0] for entry in project()["project"]["dependencies"]}
    lines = (ROOT / "requirements/runtime.in").read_text("utf-8").splitlines()
    asked_for = {line.split("[")[0] for line in lines if line and not line.startswith("#")}
    assert declared == asked_for
    runtime, dev = locked("runtime"), locked("dev")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_the_build_backend_is_locked() -> None:
    """The wheel is built without fetching anything: the backend stands in requirements/dev.txt."""
    backend = project()["build-system"]["requires"]
    assert all(re.split(r"[<>=~]", entry)[0] in locked("dev") for entry in backend)


def test_supported_python_versions_are_said_once_in_the_same_way() -> None:
    """Metadata, ruff, mypy, the Makefile and the workflow agree on the oldest Python and on the list."""
    settings = project()
    versions = [
        entry.rsplit(" ", 1)[1]
        for entry in settings["project"]["classifiers"]
        if re.search(r"Python :: 3\.\d+$", entry)
    ]
    oldest = versions[0]
    assert settings["project"]["requires-python"] == f">={oldest}"
    assert settings["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert settings["tool"]["mypy"]["python_version"] == oldest
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in (ROOT / "Makefile").read_text("utf-8")
    workflow = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    assert re.findall(r"'(3\.\d+)'", workflow.split("matrix:")[1]) == versions


def test_the_version_is_the_same_everywhere_and_in_the_changelog() -> None:
    """A release is described for its users before it is built."""
    version = project()["project"]["version"]
    assert closeout.__version__ == version
    assert re.search(rf"(?m)^## \[?{re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"))


def markdown_files() -> list[Path]:
    """Every Markdown file of the project."""
    return [path for path in files() if path.suffix == ".md"]


def anchors(path: Path) -> set[str]:
    """The fragments that GitHub gives to this page's headings."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8"))
    headings = [after.content for before, after in pairwise(tokens) if before.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[tuple[int, str]]:
    """Line and target of every link and picture of a Markdown file."""
    found = []
    for block in MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8")):
        for token in block.children or []:
            target = token.attrs.get("href") or token.attrs.get("src")
            if target:
                found.append(((block.map or [0])[0] + 1, str(target)))
    return found


def test_every_relative_link_in_the_docs_leads_somewhere() -> None:
    """A link to a file finds it, and a link to a heading finds that heading."""
    broken = []
    for path in markdown_files():
        for line, target in links(path):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, fragment = target.partition("#")
            page = (path.parent / name).resolve() if name else path
            if not page.exists() or (fragment and page.suffix == ".md" and fragment not in anchors(page)):
                broken.append(f"{place(path, line)}: {target}")
    assert not broken, listing(broken)


def test_every_page_of_the_docs_can_be_reached_from_the_index() -> None:
    """A page that no other page links to is read by nobody."""
    start = ROOT / "docs/index.md"
    reached, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        for _, target in links(page):
            found = (page.parent / target.partition("#")[0]).resolve()
            if found.suffix == ".md" and found.is_file() and found not in reached:
                reached.add(found)
                waiting.append(found)
    lost = [
        place(path) for path in markdown_files() if path.is_relative_to(ROOT / "docs") and path not in reached
    ]
    assert not lost, listing(lost)


def test_every_mutant_has_its_line_and_its_tests() -> None:
    """The list moves with the code: said in a second here, and otherwise at the end of minutes."""
    stale = []
    for mutant in (*MUTANTS, *aws.MUTANTS):
        stands = (ROOT / mutant.path).read_text("utf-8").count(mutant.old)
        if stands != 1:
            stale.append(f"{mutant.name}: its line stands {stands} times in {mutant.path}")
        for test in mutant.tests:
            path, *names = test.partition("[")[0].split("::")
            text = text_of(ROOT / path) or ""
            if not text or not all(re.search(rf"(?:def|class) {name}\b", text) for name in names):
                stale.append(f"{mutant.name}: there is no {test}")
    assert not stale, "\n".join(stale)
