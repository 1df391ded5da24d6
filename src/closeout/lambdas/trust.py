"""Whom the receiver believes to be AWS: which root certificates a server's has to lead to.

`AWS_CA_BUNDLE` names a file of them, as for every AWS SDK. Without it they are AWS's own five (`roots`), and once a server
shows a certificate of another root (a partition of AWS's, a proxy that is trusted here), all that the machine trusts. A
server is verified either way, with its name, or not spoken to.
"""

from __future__ import annotations

from closeout.core.lean import TYPE_CHECKING
from closeout.lambdas import roots

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


class Trust:
    """The TLS context of all connections: to read roots takes longer than a handshake, so it is made once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._bundle = environment.get("AWS_CA_BUNDLE") or None
        self._narrow = self._bundle is None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context."""
        if self._context is None:
            import ssl  # noqa: PLC0415 - what an emulator over plain HTTP does not need

            own = roots.AMAZON if self._narrow else None
            self._context = ssl.create_default_context(cafile=self._bundle, cadata=own)
        return self._context

    def widen(self) -> bool:
        """Take the machine's roots from now on; False if there are no others to take."""
        widened, self._narrow = self._narrow, False
        if widened:
            self._context = None
        return widened
