"""Runs an OpenAI-compatible server with a latency model instead of an LLM, to measure our own cost.

`python -m benchmarks.model_server ANSWERS FIRST_TOKEN_S TOKEN_S` prints its port. An answer is sent after the time to the first
token plus that of its tokens, however many calls are in flight, as on a GPU that is not saturated. ANSWERS is a JSON list of
[needles, answer]: the reply is the first answer whose needles all occur in the request.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import ROOT

MODEL = "latency-model"
_CHARS_PER_TOKEN = 4
Answers = list[tuple[list[str], str]]


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are sequential, as HTTP clients without pipelining send them."""

    def __init__(self, answers: list[tuple[list[bytes], bytes, float]]) -> None:
        self._answers = answers
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stores the transport for the replies."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request once it is complete."""
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        if len(rest) < length:
            return
        body, self._buffer = bytes(rest[:length]), bytearray(rest[length:])
        loop = asyncio.get_running_loop()
        if head.startswith(b"GET"):
            self._reply(json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode())
            return
        reply, after_s = next(
            (reply, after_s) for needles, reply, after_s in self._answers if all(needle in body for needle in needles)
        )
        loop.call_later(after_s, self._reply, reply)

    def _reply(self, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


async def serve(answers: Answers, first_token_s: float, token_s: float) -> None:
    """Serves on a free loopback port until it is killed, and prints the port."""
    prepared = []
    for needles, text in answers:
        tokens = max(1, len(text) // _CHARS_PER_TOKEN)
        reply = {
            "model": MODEL,
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": tokens},
        }
        prepared.append(
            ([needle.encode() for needle in needles], json.dumps(reply).encode(), first_token_s + tokens * token_s)
        )
    server = await asyncio.get_running_loop().create_server(lambda: Connection(prepared), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def model_server(answers: Answers, first_token_s: float, token_s: float, folder: Path) -> Iterator[str]:
    """Runs the server as a separate process; yields its base URL."""
    file = folder / "answers.json"
    file.write_text(json.dumps(answers))
    command = [sys.executable, "-m", "benchmarks.model_server", str(file), str(first_token_s), str(token_s)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text()), float(sys.argv[2]), float(sys.argv[3])))
