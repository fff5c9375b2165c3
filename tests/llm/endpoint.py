"""A real HTTP server on loopback that speaks chat completions and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[dict[str, Any]], "Response"]


@dataclass
class Response:
    body: dict[str, Any] | str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


def completion(
    content: str | None, finish: str = "stop", refusal: str | None = None, model: str = "tiny-2026"
) -> Response:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return Response({"id": "1", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]})


def choose(*noise_classes: str) -> Response:
    return completion(json.dumps({"noise_classes": noise_classes}))


def error(status: int, message: str = "no", **headers: str) -> Response:
    return Response({"error": {"message": message}}, status, headers)


@dataclass
class Endpoint:
    """requests: (Authorization, body, arrival in s) of each. script: the responses in order; the last one stays."""

    url: str
    script: list[Response | Behaviour]
    requests: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)


@contextmanager
def serve(*script: Response | Behaviour) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.requests.append((self.headers["Authorization"], body, time.monotonic()))
            step = endpoint.script[min(len(endpoint.requests), len(endpoint.script)) - 1]
            response = step(body) if callable(step) else step
            if self.path != "/v1/chat/completions":
                response = error(404, self.path)
            time.sleep(response.delay_s)
            payload = (response.body if isinstance(response.body, str) else json.dumps(response.body)).encode()
            try:
                self.send_response(response.status)
                for name, value in {"Content-Type": "application/json", **response.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except ConnectionError:
                pass  # the client did not wait

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/v1", list(script))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
