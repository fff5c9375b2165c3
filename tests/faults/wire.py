"""A server on loopback that sends exactly the bytes it is told, as slowly as it is told, and then hangs up."""

from __future__ import annotations

import contextlib
import json
import socketserver
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

RESET = "reset"  # instead of hanging up in good order
Wire = Iterable[bytes | float | str]  # what is sent; a number is a pause in seconds


def http(body: Any, status: int = 200, *headers: str, type: str = "application/json") -> tuple[bytes, ...]:
    """One reply. body: bytes and text as they are, all else as JSON. headers: lines; they stand before the usual."""
    sent = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(sent)}", "Connection: close"]
    lines += [f"Content-Type: {type}"] * bool(type)
    return ("\r\n".join([*lines, "", ""]).encode() + sent,)


@dataclass
class Server:
    """requests: the bodies that came. script: what is sent for each; the last one stays."""

    url: str
    script: list[Wire]
    requests: list[dict[str, Any]] = field(default_factory=list)


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 64


@contextmanager
def wire(*script: Wire) -> Iterator[Server]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline()
            head = BytesParser().parsebytes(b"".join(iter(self.rfile.readline, b"\r\n")), headersonly=True)
            body = self.rfile.read(int(head["Content-Length"] or 0))
            if not line.startswith(b"POST"):
                body = json.dumps({"instead": line.decode()}).encode()
            server.requests.append(json.loads(body))
            with contextlib.suppress(OSError):  # the client does not wait for ever
                for part in server.script[min(len(server.requests), len(server.script)) - 1]:
                    if isinstance(part, float):
                        time.sleep(part)
                    elif part == RESET:
                        self.request.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                        self.request.close()
                        return
                    else:
                        self.wfile.write(part)

    with _Threads(("127.0.0.1", 0), Handler) as threads:
        server = Server(f"http://127.0.0.1:{threads.server_address[1]}/v1", list(script))
        threading.Thread(target=threads.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()
        try:
            yield server
        finally:
            threads.shutdown()
