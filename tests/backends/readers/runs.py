"""The runs that the readers are fed with: the examples as programs, and one that asks a model with a known price."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ["quickstart", "failures"]

# What a request to the priced model costs: 600 tokens read anew at 0.15 dollars a million, 400 from the cache at 0.075,
# 200 written at 0.60.
PRICED_MODEL = "gpt-4o-mini"
PRICED_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 400},
}
PRICED_DOLLARS = 0.00024


@dataclass(frozen=True)
class Run:
    """An example and how it is told to export."""

    example: str
    captures: bool
    open_inference: bool
    is_priced: bool = False

    @property
    def name(self) -> str:
        """Also the name of its project."""
        words = [
            "priced" if self.is_priced else self.example,
            "content" if self.captures else "",
            "openinference" if self.open_inference else "",
        ]
        return "-".join(word for word in words if word)

    def tree(self) -> list[str]:
        """The lines of the tree that it leaves: two spaces for each level, and why a span failed behind a colon."""
        if self.is_priced:
            return []
        return (ROOT / "tests/support" / f"{self.example}.tree").read_text().splitlines()


def build() -> dict[str, str]:
    """Builds the examples; their programs by name."""
    command = ["cargo", "build", "--quiet", "--all-features", "--message-format=json"]
    command += [word for example in EXAMPLES for word in ("--example", example)]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in output.splitlines()]
    built = [message for message in messages if message.get("executable") and message["target"]["name"] in EXAMPLES]
    return {message["target"]["name"]: message["executable"] for message in built}


def export(run: Run, program: str, variables: dict[str, str]) -> tuple[str, int]:
    """Runs an example; the id of its trace and how many spans it says to have exported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OPENAI_", "AGENT_RUNTIME_"))}
    settings = {
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY" if run.captures else "NO_CONTENT",
        "AGENT_RUNTIME_OPEN_INFERENCE": "true" if run.open_inference else "false",
    }
    done = subprocess.run([program], env=kept | settings | variables, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    traces = [line.removeprefix("trace ").strip() for line in lines if line.startswith("trace ")]
    exported = [int(line.split()[0]) for line in lines if line.endswith("spans exported over OTLP")]
    if done.returncode != 0 or not traces or not exported:
        raise RuntimeError(f"{run.name} did not export:\n{done.stdout}\n{done.stderr}")
    return traces[0], exported[0]


@contextmanager
def priced_model() -> Iterator[dict[str, str]]:
    """A server of OpenAI's chat API that answers every request alike; the variables that lead a program to it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), PricedModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1", "OPENAI_MODEL": PRICED_MODEL}
        server.shutdown()


class PricedModel(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        head = {"id": "answer", "object": "chat.completion.chunk", "model": PRICED_MODEL}
        choice = {"index": 0, "delta": {"role": "assistant", "content": "Sales grew."}, "finish_reason": "stop"}
        chunks = [head | {"choices": [choice]}, head | {"choices": [], "usage": PRICED_USAGE}]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_) -> None:
        """Says nothing: the table is the output."""
