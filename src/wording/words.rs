//! The words that may leave the process whoever wrote them: those that errors of providers and libraries are made of, and
//! the reasons for which models stop.

/// Words of errors, in lower case and in order.
#[rustfmt::skip]
const WORDS: [&str; 769] = [
    "a", "abort", "aborted", "accept", "accepted", "accepts", "access", "account", "across", "action", "active",
    "additional", "address", "after", "again", "against", "agent", "agents", "all", "allow", "allowed", "allows",
    "alone", "along", "already", "also", "an", "and", "another", "answer", "answered", "answers", "any", "anything",
    "api", "app", "application", "are", "aren", "argument", "arguments", "around", "array", "as", "ask", "asked",
    "assertion", "at", "attempt", "attempts", "auth", "authentication", "authorization", "authorized", "available",
    "away", "back", "bad", "balance", "be", "bearer", "because", "been", "before", "began", "begin", "beginning",
    "being", "below", "between", "beyond", "billing", "blocked", "body", "bool", "boolean", "borrowed", "both",
    "broken", "buffer", "busy", "but", "by", "byte", "bytes", "call", "called", "calling", "calls", "can",
    "canceled", "cancelled", "cannot", "capacity", "certificate", "change", "changed", "char", "character",
    "characters", "chat", "check", "client", "close", "closed", "code", "column", "complete", "completed",
    "completion", "completions", "concurrent", "config", "configuration", "configured", "conflict", "connect",
    "connected", "connecting", "connection", "connections", "contact", "contain", "contains", "content", "context",
    "continue", "control", "correct", "could", "couldn", "count", "create", "created", "credentials", "credit",
    "credits", "current", "currently", "data", "database", "date", "day", "days", "dead", "deadline", "deadlock",
    "decode", "decoding", "default", "delay", "delete", "deleted", "denied", "deny", "deploy", "deployment",
    "deprecated", "details", "did", "didn", "different", "digit", "directory", "disabled", "disconnected", "disk",
    "dns", "do", "document", "does", "doesn", "domain", "don", "done", "drop", "dropped", "due", "duplicate",
    "during", "each", "early", "either", "element", "elements", "empty", "enabled", "encoding", "encountered", "end",
    "ended", "endpoint", "enough", "enum", "eof", "error", "errors", "escape", "every", "exceed", "exceeded",
    "exceeds", "exception", "exhausted", "exist", "existing", "exists", "expected", "expired", "external", "f32",
    "f64", "fail", "failed", "failing", "fails", "failure", "false", "far", "fault", "faulty", "fetch", "few",
    "field", "fields", "file", "files", "filter", "filtered", "final", "find", "finish", "finished", "first",
    "fixed", "flag", "float", "floating", "follow", "following", "for", "forbidden", "form", "format", "found",
    "free", "frequency", "from", "full", "function", "functions", "gateway", "get", "given", "gives", "gone", "got",
    "had", "handle", "handler", "handshake", "has", "hasn", "have", "haven", "header", "headers", "held", "here",
    "hex", "high", "hit", "hits", "holds", "host", "hour", "hours", "http", "https", "i", "i16", "i32", "i64", "i8",
    "id", "identifier", "ids", "if", "ignored", "illegal", "image", "images", "implemented", "in", "inactive",
    "incomplete", "incorrect", "increase", "index", "indices", "information", "input", "inputs", "instance",
    "instead", "insufficient", "integer", "internal", "interrupted", "into", "invalid", "io", "is", "isn", "issue",
    "issued", "it", "item", "items", "iteration", "iterations", "its", "json", "just", "kept", "key", "keys",
    "known", "large", "last", "lasts", "later", "least", "leave", "left", "length", "less", "level", "limit",
    "limited", "limits", "line", "lines", "list", "loaded", "loading", "local", "lock", "locked", "log", "long",
    "lost", "lower", "made", "malformed", "many", "map", "match", "matched", "matches", "maximum", "may", "mean",
    "memory", "message", "messages", "method", "middle", "might", "milliseconds", "minimum", "minute", "minutes",
    "mismatch", "missing", "model", "models", "module", "moment", "month", "more", "most", "moved", "much",
    "multiple", "must", "name", "named", "names", "near", "need", "needed", "needs", "negative", "neither",
    "network", "new", "newline", "next", "no", "none", "nor", "not", "nothing", "now", "null", "number", "numbers",
    "object", "objects", "occurred", "of", "off", "offset", "ok", "old", "on", "once", "one", "only", "onto", "open",
    "operation", "option", "optional", "options", "or", "organization", "os", "other", "our", "out", "output",
    "outputs", "outside", "over", "overflow", "overload", "overloaded", "own", "packet", "page", "panic", "panicked",
    "panicking", "parameter", "parameters", "parse", "parsed", "parser", "parsing", "part", "parts", "pass",
    "passed", "path", "payload", "payment", "peer", "pending", "per", "perform", "permission", "permissions",
    "permitted", "piece", "pieces", "pipe", "place", "plan", "please", "point", "policy", "pool", "port", "position",
    "positive", "possible", "present", "previous", "problem", "process", "processed", "processing", "prohibited",
    "project", "prompt", "property", "protocol", "provide", "provided", "provider", "proxy", "put", "query", "queue",
    "quiet", "quota", "quotes", "range", "rate", "re", "reach", "reached", "read", "reader", "reading", "ready",
    "reason", "receive", "received", "recently", "record", "recursion", "redirect", "refused", "region", "reject",
    "rejected", "release", "remaining", "remote", "remove", "removed", "repeated", "reply", "request", "requested",
    "requests", "require", "required", "requires", "reset", "resource", "resources", "respond", "responded",
    "response", "responses", "result", "results", "retried", "retries", "retry", "return", "returned", "returning",
    "revoked", "role", "root", "route", "run", "running", "runs", "runtime", "s", "safe", "safety", "same", "schema",
    "search", "second", "seconds", "see", "send", "sending", "sent", "seq", "sequence", "server", "servers",
    "service", "session", "set", "setting", "settings", "several", "shall", "should", "shouldn", "shut", "shutdown",
    "sign", "signature", "simultaneous", "since", "size", "slow", "small", "socket", "some", "something", "soon",
    "sorry", "source", "space", "specified", "stage", "start", "started", "state", "status", "step", "steps",
    "still", "stop", "stopped", "storage", "str", "stream", "streaming", "string", "strings", "struct", "structure",
    "success", "successful", "such", "support", "supported", "supports", "surrogate", "syntax", "system", "t",
    "table", "task", "tasks", "temporarily", "temporary", "terminated", "text", "than", "that", "the", "their",
    "then", "there", "these", "they", "third", "this", "those", "though", "thread", "threads", "three", "throttled",
    "time", "timed", "timeout", "times", "timestamp", "tls", "to", "token", "tokens", "too", "tool", "tools", "top",
    "total", "traffic", "trailing", "transfer", "transform", "transport", "true", "try", "trying", "tuple", "twice",
    "two", "type", "types", "u16", "u32", "u64", "u8", "unable", "unauthorized", "unavailable", "undefined", "under",
    "unexpected", "unfinished", "unfortunately", "unique", "unit", "unknown", "unlimited", "unprocessable",
    "unreachable", "unreadable", "unrecognized", "unsupported", "unterminated", "until", "up", "update", "updated",
    "upgrade", "upload", "upstream", "url", "usage", "use", "used", "user", "uses", "using", "usize", "utf", "valid",
    "validate", "validation", "value", "values", "variable", "variant", "variants", "ve", "version", "very", "via",
    "violation", "visit", "wait", "waiting", "wants", "warning", "was", "wasn", "way", "we", "week", "went", "were",
    "weren", "when", "where", "whether", "which", "while", "who", "whole", "whose", "will", "window", "wire", "with",
    "within", "without", "won", "word", "work", "worker", "workflow", "would", "wouldn", "write", "writing",
    "written", "wrong", "year", "yes", "yet", "you", "your",
];

/// The words that a number belongs to which may stay.
const BEFORE_NUMBERS: [&str; 11] =
    ["answered", "byte", "code", "column", "error", "http", "index", "line", "offset", "position", "status"];

/// How many digits such a number may have.
const MAX_DIGITS: usize = 6;

/// Why models stop, in the words of the conventions and of providers.
#[cfg(feature = "otel")]
const FINISH_REASONS: [&str; 24] = [
    "blocklist",
    "cancelled",
    "compaction",
    "complete",
    "content_filter",
    "content_filtered",
    "end_turn",
    "eos",
    "error",
    "function_call",
    "guardrail_intervened",
    "length",
    "malformed_function_call",
    "max_tokens",
    "model_length",
    "pause_turn",
    "prohibited_content",
    "recitation",
    "refusal",
    "safety",
    "stop",
    "stop_sequence",
    "tool_call",
    "tool_use",
];

/// The words of the conventions' schema for messages: roles, and types of parts.
#[cfg(feature = "otel")]
const SCHEMA_WORDS: [&str; 22] = [
    "assistant",
    "audio",
    "blob",
    "compaction",
    "developer",
    "document",
    "file",
    "function",
    "generic",
    "image",
    "reasoning",
    "server_tool_call",
    "server_tool_call_response",
    "system",
    "text",
    "tool",
    "tool_call",
    "tool_call_response",
    "uri",
    "user",
    "video",
    "refusal",
];

/// The names of the fields of messages, parts and definitions.
#[cfg(feature = "otel")]
const SCHEMA_FIELDS: [&str; 15] = [
    "arguments",
    "content",
    "description",
    "file_id",
    "finish_reason",
    "id",
    "mime_type",
    "modality",
    "name",
    "parameters",
    "parts",
    "response",
    "role",
    "type",
    "uri",
];

/// The longest name that a provider may give to a model, an answer or a call.
#[cfg(feature = "otel")]
const MAX_IDENTIFIER_BYTES: usize = 128;

/// Whether a word of an error may stay, or a number: one of a single digit, or one that belongs to the word before it.
pub(super) fn may_stay(token: &str, before: &str) -> bool {
    if token.bytes().all(|byte| byte.is_ascii_digit()) {
        let has_place = BEFORE_NUMBERS.iter().any(|word| before.eq_ignore_ascii_case(word));
        return token.len() == 1 || has_place && token.len() <= MAX_DIGITS;
    }
    let token = token.to_ascii_lowercase();
    WORDS.binary_search(&token.as_str()).is_ok()
}

/// Whether a finish reason is one that the conventions or a provider define.
#[cfg(feature = "otel")]
pub(crate) fn is_finish_reason(reason: &str) -> bool {
    FINISH_REASONS.iter().any(|known| known.eq_ignore_ascii_case(reason))
}

/// Whether a word is one of the schema's, in a message, a part or a definition.
#[cfg(feature = "otel")]
pub(crate) fn is_of_schema(word: &str) -> bool {
    SCHEMA_WORDS.contains(&word) || is_finish_reason(word)
}

/// Whether a field of a message, a part or a definition is one of the schema's.
#[cfg(feature = "otel")]
pub(crate) fn is_schema_field(name: &str) -> bool {
    SCHEMA_FIELDS.contains(&name)
}

/// Whether a provider's name for something has the form of one; a sentence has not.
#[cfg(feature = "otel")]
pub(crate) fn is_identifier(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/@+".contains(&byte);
    !text.is_empty() && text.len() <= MAX_IDENTIFIER_BYTES && text.bytes().all(is_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order_so_that_they_are_found() {
        assert!(WORDS.is_sorted());
    }
}
