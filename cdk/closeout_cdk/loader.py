"""What stands in the receiver's bundle as `closeout/__init__`: it takes all modules of the package from one file.

Thirty files would be looked for, opened and read at each cold start otherwise. `packing` writes the file, and this module
is compiled into the bundle; nothing here imports it.
"""

from __future__ import annotations

import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

BESIDE = "modules"
"""The file. Lines of `name package|module begin end`, an empty line, and the code objects, as in `.pyc` files."""


class Packed:
    """Finds and loads the modules of a file, as `importlib` has it for `sys.meta_path`."""

    def __init__(self, place: str) -> None:
        with open(place, "rb") as file:  # noqa: PTH123 - pathlib takes 3 ms to import
            head, _, self._codes = file.read().partition(b"\n\n")
        lines = [line.split() for line in head.decode().split("\n")]
        self._places = {name: (kind == "package", int(begin), int(end)) for name, kind, begin, end in lines}

    def code(self, name: str) -> CodeType:
        """Return a module's code object."""
        _, begin, end = self._places[name]
        code: CodeType = marshal.loads(self._codes[begin:end])  # noqa: S302 - of our own bundle, as a .pyc is
        return code

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say that a module comes from here, or None."""
        found = self._places.get(name)
        if found is None:
            return None
        # the type of a spec without the import of importlib.machinery
        return type(__spec__)(name, self, is_package=found[0])  # type: ignore[arg-type]  # a loader by its methods

    def create_module(self, _spec: ModuleSpec) -> ModuleType | None:
        """Let Python make the module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        exec(self.code(module.__name__), module.__dict__)  # noqa: S102 - the same


_PACKED = Packed(f"{__file__.rpartition('/')[0]}/{BESIDE}")
sys.meta_path.insert(0, _PACKED)
exec(_PACKED.code("closeout"), globals())  # noqa: S102 - the same
