"""Which programs a script on Lambda finds: what is in the image of the Python runtime, and what comes with `codePath`.

The list is that of the packages in AWS's own image for the runtime (bash, coreutils-single, curl-minimal, gawk, grep,
sed, glibc-common), as `rpm -qa` gives them: https://github.com/amazonlinux/amazon-linux-2023/issues/585. There is no aws,
find, git, jq, psql, tar or unzip.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

_BUILTINS = """. : [ [[ alias bg break builtin caller case cd command continue declare dirs disown do done echo elif else enable
esac eval exec exit export false fc fg fi for function getopts hash help history if in jobs kill let local logout mapfile
popd printf pushd pwd read readarray readonly return select set shift shopt source suspend test then time times trap true
type typeset ulimit umask unalias unset until wait while { } ! (( ))"""
_IMAGE = """arch awk b2sum base32 base64 basename basenc bash cat chcon chgrp chmod chown chroot cksum comm cp csplit curl cut
date dd df dir dircolors dirname du echo egrep env expand expr factor false fgrep fmt fold gawk getconf getent gpg grep groups
head hostid iconv id install join link ln locale logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od
paste pathchk pip pip3 pip3.13 pr printenv printf ptx pwd python python3 python3.13 readlink realpath rm rmdir runcon sed seq
sh sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test
timeout touch tr true truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes"""
IMAGE = frozenset(_IMAGE.split())
KNOWN = IMAGE | frozenset(_BUILTINS.split())

_RUNS_ANOTHER = frozenset(("command", "exec", "env", "nice", "nohup", "time", "timeout", "builtin"))
_BEFORE_A_COMMAND = frozenset(("if", "then", "else", "elif", "do", "while", "until", "!", "{", "(", "time"))
_ENDS = frozenset((";", "&&", "||", "|", "&", "|&", "(", ")", ";;"))
_ASSIGNED = re.compile(r"[A-Za-z_]\w*\+?=.*", re.DOTALL)
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([A-Za-z_][\w-]*)\s*\(\)", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9._/+-]+")
_LOOKUPS = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/var/lang/bin/")


def missing(program: str, files: Iterable[str]) -> str | None:
    """Return why Lambda would not find a program, or None. `files` are the paths below `codePath`.

    The working folder there is the bundle, which is not on the PATH: what comes with the code is called `./name`.
    """
    own = set(files)
    if program in IMAGE:
        return None
    path = program.removeprefix("/var/task/").removeprefix("./")
    if "/" in program and path in own:
        return None
    for folder in _LOOKUPS:
        if program.startswith(folder) and program.removeprefix(folder) in IMAGE:
            return None
    if program in own:
        return f"`{program}` is in codePath, which is not on the PATH there: write `./{program}`"
    return f"`{program}` is neither in Lambda's image nor in codePath"


def of_script(script: str) -> tuple[str, ...]:
    """Return the programs that a script for `sh` certainly calls, each once.

    Only what stands plainly at a command's place. What is quoted, computed, in a here-document or in a `case` is not
    looked at: it is better to say nothing than to refuse a script that works.
    """
    if "<<" in script or re.search(r"(?m)^\s*case\s", script):
        return ()
    functions = set(_FUNCTION.findall(script))
    found = [
        word
        for line in _lines(script)
        for word in _commands(line)
        if word not in KNOWN and word not in functions and _PLAIN.fullmatch(word)
    ]
    return tuple(dict.fromkeys(found))


def _lines(script: str) -> Iterator[list[str]]:
    """Yield each line's words. A text over several lines, and what cannot be split, is left out."""
    joined = script.replace("\\\n", " ")
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=False, punctuation_chars=True)
        lexer.commenters = "#"
        try:
            yield list(lexer)
        except ValueError:
            return  # a quote that goes on in the next line: from here on it is not known what is a command


def _commands(words: list[str]) -> Iterator[str]:
    expecting, before = True, ""
    for word in words:
        last, before = before, word
        if word == "(" and last.endswith("="):
            return  # an array: what follows are values
        if word in _ENDS:
            expecting = True
        elif expecting and (word in _BEFORE_A_COMMAND or _ASSIGNED.fullmatch(word) or word in _RUNS_ANOTHER):
            continue
        elif expecting and word.startswith(("-", "<", ">")):
            return
        elif expecting:
            yield word
            expecting = False
