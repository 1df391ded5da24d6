"""Find programs that a script on Lambda lacks: common ones missing from the image, and paths missing from `codePath`.

The rule is simple, without a list of the image's programs: it checks `argv[0]` and the first word of a script's lines. It may
miss a program, but must never refuse a script that works.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

ABSENT = frozenset(
    [
        "aws",
        "az",
        "docker",
        "dropdb",
        "find",
        "gcloud",
        "git",
        "helm",
        "jq",
        "kubectl",
        "make",
        "mysql",
        "node",
        "npm",
        "psql",
        "rsync",
        "ssh",
        "tar",
        "terraform",
        "unzip",
        "wget",
        "zip",
    ]
)
"""Missing from the Python runtime's image: https://github.com/amazonlinux/amazon-linux-2023/issues/585 lists its packages."""


def missing(program: str, files: Collection[str]) -> str | None:
    """Return why Lambda would not find a program, or None. `files` are the paths below `codePath`.

    The working folder there is the bundle, which is not on the PATH, so a program in the code is called as `./name`.
    """
    if program in files and "/" not in program:
        return f"`{program}` is in codePath, which is not on the PATH there: write `./{program}`"
    own = program.removeprefix("/var/task/")
    relative = "/" in program and not own.startswith("/")
    if program.rpartition("/")[2] in ABSENT and not relative:
        return f"`{program}` is not in Lambda's image"
    if relative and own.removeprefix("./") not in files:
        return f"`{program}` is not in codePath"
    return None


def of_script(script: str, files: Collection[str]) -> tuple[str, ...]:
    """Return the programs that begin a line and may be missing, each once.

    Stop at a here-document or a quote that continues on the next line, because what follows may be text. Names of functions that
    the script defines are ignored.
    """
    found = [
        word for word in _first_words(script) if word in ABSENT or word in files or word.startswith("./")
    ]
    return tuple(dict.fromkeys(word for word in found if f"{word}()" not in script))


def _first_words(script: str) -> Iterator[str]:
    for line in script.replace("\\\n", " ").splitlines():
        word = re.match(r"\s*([\w./-]+)(?=\s|$)", line)
        if word:
            yield word[1]
        if "<<" in line or line.count('"') % 2 or line.count("'") % 2:
            return
