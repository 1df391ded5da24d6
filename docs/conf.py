"""Tell Sphinx how to build the site of the documentation: `make docs`.

The pages are plain Markdown, and their links work on GitHub too. Sphinx reads from the root of the repository, so that
links to SECURITY.md and its neighbours work in the site. The navigation lists every page of docs/, by folder.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "Tutorials": "docs/tutorial",
    "How-to guides": "docs/how-to",
    "Reference": "docs/reference",
    "Explanation": "docs/explanation",
}

project = "closeout"
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "bench/results/2*.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nitpicky = True
highlight_language = "text"
html_theme = "sphinx_book_theme"
html_title = "closeout"
html_copy_source = False
html_theme_options = {"show_navbar_depth": 1, "home_page_in_toc": True, "use_download_button": False}


def _contents(folder: str) -> list[str]:
    """List the pages of a folder in the order in which the first page names them, then those that it does not name."""
    named = re.findall(rf"\]\({Path(folder).name}/([\w-]+)\.md", (ROOT / "docs/index.md").read_text("utf-8"))
    pages = {path.stem for path in (ROOT / folder).glob("*.md") if path.stem != "index"}
    ordered = [page for page in dict.fromkeys(named) if page in pages]
    return [f"/{folder}/{page}" for page in (*ordered, *sorted(pages - set(ordered)))]


def _toctree(caption: str, pages: list[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def _add_navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Append to the first page, and to the list of decisions, the lists from which Sphinx makes the navigation."""
    if name == root_doc:
        trees = [_toctree(caption, _contents(folder)) for caption, folder in FOLDERS.items()]
        trees += [_toctree("Project", ["/docs/adr/index", "/CHANGELOG", "/SECURITY", "/CONTRIBUTING"])]
        source[0] += "".join(trees)
    elif name == "docs/adr/index":
        source[0] += _toctree("Decisions", _contents("docs/adr"))
    elif name.startswith("bench/"):
        source[0] = f"---\norphan: true\n---\n{source[0]}"


def _open_the_first_page(app: Sphinx, error: Exception | None) -> None:
    """Send the site's root to the first page, which is in a folder as the sources are."""
    if error is None:
        target = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><title>closeout</title>\n'
        (Path(app.outdir) / "index.html").write_text(target, "utf-8")


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _open_the_first_page)
