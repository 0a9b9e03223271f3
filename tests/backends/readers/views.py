"""What a reader shows of a trace, asked through its own API and brought into one form."""

import json
import secrets
import time
import urllib.request
from dataclasses import dataclass, field

PATIENCE_SECONDS = 30


@dataclass
class Span:
    """A span as a reader has it. What it does not have is None."""

    id: str
    parent: str | None
    name: str
    start: str | int
    kind: str
    failed: bool
    # The message of the status, and that of the span event by which the pages show a failure.
    reason: str | None
    exception: str | None
    input: str | None
    output: str | None
    # Of a request to a model: its messages as the reader has read them.
    asked: list = field(default_factory=list)
    answered: list = field(default_factory=list)

    @property
    def operation(self) -> str:
        return self.name.split()[0]


@dataclass
class Trace:
    spans: list[Span]
    failed: bool
    tokens: tuple[int, int]
    cost: float | None
    # All that the reader has stored, for what must not be there.
    stored: str


class Phoenix:
    """Arize Phoenix: a project for each run, new each time."""

    name = "phoenix"
    # The kinds by the name of the operation.
    kinds = {"chat": "LLM", "execute_tool": "TOOL", "invoke_agent": "AGENT", "invoke_workflow": "CHAIN", "workflow_step": "CHAIN"}

    def __init__(self, url: str):
        self.url = url
        self.suffix = secrets.token_hex(4)

    def project(self, run) -> str:
        return f"{run.name}-{self.suffix}"

    def variables(self, run) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_RESOURCE_ATTRIBUTES": f"openinference.project.name={self.project(run)}",
        }

    def trace(self, run, trace_id: str, spans: int) -> Trace:
        path = f"{self.url}/v1/projects/{self.project(run)}"
        found = until(lambda: ask(f"{path}/spans?limit=100")["data"], lambda found: len(found) >= spans)
        query = f'{{ getProjectByName(name: "{self.project(run)}") {{ costSummary {{ total {{ cost }} }} }} }}'
        # Computed behind the reader's back, after the spans are there.
        cost = until(
            lambda: ask(f"{self.url}/graphql", {"query": query})["data"]["getProjectByName"]["costSummary"]["total"]["cost"],
            lambda cost: cost or not run.is_priced,
        )
        trace = next(trace for trace in ask(f"{path}/traces")["data"] if trace["trace_id"] == trace_id)
        return Trace(
            spans=[self.span(span) for span in found],
            failed=any(span["status_code"] == "ERROR" for span in found if span["parent_id"] is None),
            tokens=(trace["token_count_prompt"], trace["token_count_completion"]),
            cost=cost,
            stored=json.dumps(found),
        )

    @staticmethod
    def span(span: dict) -> Span:
        attributes = span["attributes"]
        messages = lambda which: [key for key in attributes if key.startswith(f"llm.{which}_messages.")]
        exceptions = [event["attributes"].get("exception.message") for event in span["events"] if event["name"] == "exception"]
        # Where it knows no input it shows a tool's arguments, of which it keeps each by itself.
        arguments = {key: value for key, value in attributes.items() if key.startswith("tool.parameters.")}
        return Span(
            id=span["context"]["span_id"],
            parent=span["parent_id"],
            name=span["name"],
            start=span["start_time"],
            kind=span["span_kind"],
            failed=span["status_code"] == "ERROR",
            reason=span["status_message"] or None,
            exception=next(iter(exceptions), None),
            input=attributes.get("input.value") or (str(arguments) if arguments else None),
            output=attributes.get("output.value"),
            asked=messages("input"),
            answered=messages("output"),
        )


class MlFlow:
    """MLflow: all runs in the experiment that is always there, each a trace."""

    name = "mlflow"
    kinds = {"chat": "CHAT_MODEL", "execute_tool": "TOOL", "invoke_agent": "AGENT", "invoke_workflow": "CHAIN", "workflow_step": "CHAIN"}

    def __init__(self, url: str):
        self.url = url

    def variables(self, _) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-mlflow-experiment-id=0"}

    def trace(self, run, trace_id: str, spans: int) -> Trace:
        address = f"{self.url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}"
        trace = until(lambda: ask(address)["trace"], lambda trace: len(trace["spans"]) >= spans)
        info = trace["trace_info"]
        tokens = json.loads(info["trace_metadata"].get("mlflow.trace.tokenUsage", "{}"))
        cost = json.loads(info["trace_metadata"].get("mlflow.trace.cost", "{}"))
        return Trace(
            spans=[self.span(span) for span in trace["spans"]],
            failed=info["state"] == "ERROR",
            tokens=(tokens.get("input_tokens", 0), tokens.get("output_tokens", 0)),
            cost=cost.get("total_cost"),
            stored=json.dumps(trace),
        )

    @staticmethod
    def span(span: dict) -> Span:
        attributes = pairs(span["attributes"])
        exceptions = [pairs(event["attributes"]) for event in span.get("events", []) if event["name"] == "exception"]
        inputs, outputs = attributes.get("mlflow.spanInputs"), attributes.get("mlflow.spanOutputs")
        has_parts = lambda messages: messages if isinstance(messages, list) and "parts" in str(messages) else []
        return Span(
            id=span["span_id"],
            parent=span.get("parent_span_id"),
            name=span["name"],
            start=span["start_time_unix_nano"],
            kind=attributes.get("mlflow.spanType", "UNKNOWN"),
            failed=span["status"].get("code") == "STATUS_CODE_ERROR",
            reason=span["status"].get("message") or None,
            exception=next((exception.get("exception.message") for exception in exceptions), None),
            input=inputs,
            output=outputs,
            asked=has_parts(inputs),
            answered=has_parts(outputs),
        )


def pairs(attributes: list) -> dict:
    return {attribute["key"]: plain(attribute["value"]) for attribute in attributes}


def plain(value: dict):
    """A value of OTLP in JSON as Python has it."""
    ((kind, inner),) = value.items() or [("none", None)]
    if kind == "array_value":
        return [plain(item) for item in inner.get("values", [])]
    if kind == "kvlist_value":
        return pairs(inner.get("values", []))
    return inner


def ask(url: str, body: dict | None = None) -> dict:
    """A JSON answer; never through a proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        return json.load(response)


def until(look, is_enough):
    """What is seen once it is enough, or at the last look."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            seen = look()
        except OSError:
            # A trace that has not arrived is an error of its API.
            seen = None
        if seen is not None and (is_enough(seen) or time.monotonic() > deadline):
            return seen
        if time.monotonic() > deadline:
            raise RuntimeError("the reader has nothing of the trace")
        time.sleep(0.5)
