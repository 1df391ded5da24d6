"""A stub of AWS for cold starts: HTTPS on loopback, and immediate answers. `python cold_aws.py CERTIFICATE KEY SECRET`."""

import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers the four operations that a receiver needs; the emulators would measure themselves."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = (
        True  # else the first answer waits 40 ms for an acknowledgement, as no AWS endpoint does
    )
    secret = ""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = (self.headers.get("x-amz-target") or "").rpartition(".")[2]
        answers: dict[str, object] = {
            "GetSecretValue": {"Name": "hook", "SecretString": self.secret, "CreatedDate": time.time() - 1e6},
            "TransactWriteItems": {},
            "UpdateItem": {},
        }
        status, body = (200, json.dumps(answers[operation]).encode()) if operation else (202, b"")
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def main() -> None:
    certificate, key, Handler.secret = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
