"""What a reader is to show of a run: one column of the table each, as (how many it shows, how many it is to show)."""

import re

from runs import PRICED_DOLLARS, Run
from views import Span, Trace

# Words of the examples' content, none of which may be stored unless content is captured.
CONTENT = ["1.38 million", "Acme", "order 1007?", "Good news", "shipped", "You are a", "Sales grew"]

# What each reader does not know without OpenInference's names: the kinds of workflows and steps, and the inputs and
# outputs of these operations.
WITHOUT_KIND = ["invoke_workflow", "workflow_step"]
WITHOUT_TEXTS = {
    "phoenix": ["invoke_workflow", "workflow_step", "invoke_agent"],
    "mlflow": ["workflow_step"],
}

Count = tuple[int, int]


def columns(reader, run: Run, trace: Trace, exported: int) -> dict[str, Count]:
    return {
        "arrived": (len(trace.spans), exported),
        "tree": tree(run, trace),
        "kind": kind(reader, run, trace),
        "tokens": tokens(run, trace),
        "cost": cost(run, trace),
        "messages": messages(run, trace),
        "inputs": texts(reader, run, trace, "input"),
        "outputs": texts(reader, run, trace, "output"),
        "errors": errors(run, trace),
        "leaks": leaks(run, trace),
    }


def tree(run: Run, trace: Trace) -> Count:
    """Lines that are as expected, names and nesting."""
    expected = [line.split(":")[0] for line in run.tree()]
    drawn = drawing(trace, None, 0)
    # Of a run without an expected tree each span is to be found below the one root.
    right = sum(a == b for a, b in zip(drawn, expected)) if expected else len(drawn)
    return right, len(expected) or len(trace.spans)


def drawing(trace: Trace, parent: str | None, depth: int) -> list[str]:
    lines = []
    for span in sorted((span for span in trace.spans if span.parent == parent), key=lambda span: span.start):
        lines += ["  " * depth + span.name, *drawing(trace, span.id, depth + 1)]
    return lines


def kind(reader, run: Run, trace: Trace) -> Count:
    """Spans of the right kind; without OpenInference's names, of those whose kind a reader can know."""
    known = [span for span in trace.spans if run.open_inference or span.operation not in WITHOUT_KIND]
    return sum(span.kind == reader.kinds[span.operation] for span in trace.spans), len(known)


def tokens(run: Run, trace: Trace) -> Count:
    """The sum of the trace, each request counted once."""
    requests = sum(span.operation == "chat" for span in trace.spans)
    expected = {"quickstart": 198, "failures": 47}[run.example]
    return sum(trace.tokens), 1200 * requests if run.is_priced else expected


def cost(run: Run, trace: Trace) -> Count:
    """In millionths of a dollar."""
    requests = sum(span.operation == "chat" for span in trace.spans)
    expected = PRICED_DOLLARS * requests if run.is_priced else 0
    return round((trace.cost or 0) * 1_000_000), round(expected * 1_000_000)


def messages(run: Run, trace: Trace) -> Count:
    """Requests with what was asked and, where any of it came, what was answered."""
    requests = [span for span in trace.spans if span.operation == "chat"]
    shown = sum(bool(span.asked) and bool(span.answered) for span in requests)
    return shown, len(requests) if run.captures else 0


def texts(reader, run: Run, trace: Trace, which: str) -> Count:
    """Spans of workflows, steps, agents and tools with an input, and those that ended well with an output."""
    others = [span for span in trace.spans if span.operation != "chat"]
    shown = [span for span in others if getattr(span, which) is not None]
    due = [span for span in others if which == "input" or not span.failed]
    known = [span for span in due if run.open_inference or span.operation not in WITHOUT_TEXTS[reader.name]]
    return len(shown), len(known) if run.captures else 0


def errors(run: Run, trace: Trace) -> Count:
    """Failed spans with their status and their reason in both places, and the trace as failed with its root."""
    expected = sorted(line.split(":")[0].strip() for line in run.tree() if ":" in line)
    has_reason = lambda span: span.failed and bool(span.reason) and span.exception == span.reason
    shown = sorted(span.name for span in trace.spans if has_reason(span))
    wrong = sum(span.failed for span in trace.spans) != len(expected) or trace.failed != bool(expected)
    return -1 if wrong or shown != expected else len(shown), len(expected)


def leaks(run: Run, trace: Trace) -> Count:
    """Words of content that are stored without having been asked for."""
    if run.captures:
        return 0, 0
    return sum(bool(re.search(re.escape(word), trace.stored)) for word in CONTENT), 0
