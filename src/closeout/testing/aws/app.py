"""The emulator's WSGI application: control API, journal and faults around moto with our rules.

One application object holds one emulated world. moto itself keeps its state in the process, so a process
holds one world at a time.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import moto.backends as moto_backends
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.core.utils import convert_to_flask_response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.test import run_wsgi_app

from closeout.testing.aws.calls import Answer, Call, Request, error_answer, read_call
from closeout.testing.aws.cloudformation import RuledCloudFormation
from closeout.testing.aws.codebuild import BuildRules, Outcome, RuledCodeBuild
from closeout.testing.aws.faults import CallJournal, Fault
from closeout.testing.aws.rules import StackRules, Undeletable
from closeout.testing.faults import FaultBoard

REGION = "us-east-1"


class DropConnection(ConnectionError):
    """The call gets no answer at all; the server closes the socket."""


class Emulator:
    """A WSGI application. `delete_seconds` is how long a stack takes to delete."""

    def __init__(self, *, delete_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.stacks = StackRules(clock=clock, seconds=delete_seconds)
        self.builds = BuildRules(clock=clock)
        self.faults = FaultBoard[Fault]()
        self.journal = CallJournal()
        self._moto = DomainDispatcherApplication(self._create_app)
        # Otherwise moto lists the folder of its own package twice for each request.
        self._moto.get_backend_for_host = cache(self._moto.get_backend_for_host)  # type: ignore[method-assign]
        self.reset()

    def reset(self) -> None:
        """Start a new, empty world."""
        self.faults.clear()
        with self.stacks.lock:
            BackendDict.reset()
            reset_model_data()
            self.stacks.clear()
            self.builds.clear()
        self.journal.clear()

    def _create_app(self, service: Any) -> Any:
        app = create_backend_app(service)
        ruled: dict[Any, tuple[Any, Any]] = {
            "cloudformation": (RuledCloudFormation, self.stacks),
            "codebuild": (RuledCodeBuild, self.builds),
        }
        if service in ruled:
            responses, rules = ruled[service]
            bound: Any = type("Bound", (responses,), {"rules": rules})
            view = convert_to_flask_response(bound.dispatch)
            for endpoint in list(app.view_functions):
                if endpoint.endswith(".dispatch"):
                    app.view_functions[endpoint] = view
        return app

    # --- one request ----------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        size = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        path = environ.get("PATH_INFO", "/")
        if path.startswith("/_closeout/"):
            order = path.removeprefix("/_closeout/"), environ.get("QUERY_STRING", "")
            return _send(start_response, self.control(environ["REQUEST_METHOD"], *order, body))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {
            key.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_") or key == "CONTENT_TYPE"
        }
        request = Request(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, body)
        return self._aws(environ, start_response, request)

    def _aws(self, environ: dict[str, Any], start_response: Any, request: Request) -> Iterable[bytes]:
        call = self.read_call(request)
        entry = self.journal.begin(call)
        fault = self.faults.hit(lambda fault: fault.is_about(call))
        answer = None if fault is None or fault.after else self._apply(fault, call, entry)
        answer = answer or self.answer(call, request)
        if answer is None:
            self.stacks.advance()
            chunks, status, headers = self.ask_moto(call, environ)
            if fault is not None and fault.after:
                answer = self._apply(fault, call, entry)
            if answer is None:
                entry["status"] = int(status.split(" ", 1)[0])
                start_response(status, list(headers))
                return chunks
        entry["status"] = answer[0]
        return _send(start_response, answer)

    def _apply(self, fault: Fault, call: Call, entry: dict[str, Any]) -> Answer | None:
        if fault.kind == "hold":
            entry["held"] = True
            fault.released.wait(fault.seconds)
            entry["held"] = False
            return None
        if fault.kind == "drop":
            raise DropConnection
        if fault.kind == "garble":
            return 200, {"Content-Type": "text/html"}, b"<html><body>proxy <b"
        status, headers, body = error_answer(call, fault.status, fault.code, fault.message)
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        return status, headers, body

    def read_call(self, request: Request) -> Call:
        """Return what is called."""
        return read_call(request)

    def ask_moto(self, call: Call, environ: dict[str, Any]) -> tuple[Iterable[bytes], str, Any]:
        """Return moto's answer: chunks, status and headers."""
        del call
        return run_wsgi_app(self._moto, environ, buffered=True)

    def answer(self, call: Call, request: Request) -> Answer | None:
        """Answer instead of moto: S3 returns 403 if another account owns the bucket (S3 UserGuide, bucket-owner-condition)."""
        expected = request.headers.get("x-amz-expected-bucket-owner")
        owner = s3_backends.bucket_accounts.get(call.params.get("Bucket", ""), (None, None))[1]
        if call.service == "s3" and expected and owner and expected != owner:
            return error_answer(call, 403, "AccessDenied", "Access Denied")
        return None

    # --- the control API ------------------------------------------------------------------------------

    def routes(self, query: str) -> dict[tuple[str, str], Callable[[dict[str, Any]], Any]]:
        """Return what carries out each control request."""
        return {
            ("POST", "reset"): lambda _: self.reset(),
            ("POST", "faults"): lambda order: self.faults.put(Fault(**order)),
            ("DELETE", "faults"): lambda _: self.faults.clear(),
            ("GET", "requests"): lambda _: self.journal.since(int(parse_qs(query).get("after", ["0"])[0])),
            ("POST", "stacks"): self._order_stack,
            ("POST", "undeletable"): lambda order: self.stacks.undeletable.append(Undeletable(**order)),
            ("DELETE", "undeletable"): lambda _: self.stacks.undeletable.clear(),
            ("POST", "builds"): self._order_build,
            ("POST", "settings"): self._settings,
        }

    def control(self, method: str, path: str, query: str, body: bytes) -> Answer:
        """Answer one request of the control API."""
        handler = self.routes(query).get((method, path))
        if handler is None:
            return _json(404, {"error": "not-found", "message": f"no control {path}"})
        try:
            result = handler(json.loads(body or b"{}"))
        except (TypeError, KeyError, ValueError) as error:
            return _json(400, {"error": "bad-order", "message": str(error)})
        return _json(200, {} if result is None else result)

    def _order_stack(self, order: dict[str, Any]) -> None:
        backend = moto_backends.get_backend("cloudformation")[order.get("account", "123456789012")][
            order.get("region", REGION)
        ]
        self.stacks.turn(backend, order["stack"], order["status"], order["seconds"], order["then"])

    def _order_build(self, order: dict[str, Any]) -> None:
        project = order.pop("project")
        self.builds.outcomes[project] = Outcome(**order)

    def _settings(self, order: dict[str, Any]) -> None:
        self.stacks.seconds = float(order.get("delete_seconds", self.stacks.seconds))
        self.stacks.events_late = float(order.get("events_late", self.stacks.events_late))
        self.stacks.unending = bool(order.get("unending", self.stacks.unending))


def _json(status: int, value: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value, default=str).encode()


def _send(start_response: Any, answer: Answer) -> Iterable[bytes]:
    status, headers, body = answer
    start_response(f"{status} Emulated", [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]
