//! What a provider says when it refuses: an HTTP error status, or an error inside the answer.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use reqwest::{
    Response,
    header::{HeaderMap, RETRY_AFTER},
};
use serde_json::Value as JsonValue;
use tokio::time::timeout;

use super::{frames::Frames, peer::Peer};
use crate::llm::StatusError;

/// The most that is read of the body of an answer with an error status: 16 KiB.
pub(super) const MAX_ERROR_BODY_BYTES: usize = 16 * 1024;

/// The longest sentence of a provider that goes into an error whole.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The status of an error inside an answer that names none.
const DEFAULT_STATUS: u16 = 500;

/// How deep an error may be wrapped in others, as gateways do.
const MAX_WRAPPINGS: usize = 8;

/// The fields that may hold an error, the outermost first.
const WRAPPINGS: [&str; 5] = ["error", "errors", "detail", "response", "body"];

/// The fields that may hold the sentence for people.
const MESSAGES: [&str; 6] = ["message", "msg", "error_description", "error_msg", "title", "detail"];

/// What a provider says of an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// The request's field that the error is about.
    pub(super) field: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// Reads an answer with an error status.
pub(super) async fn from_response(mut response: Response, peer: &Peer, has_version: bool) -> (Said, StatusError) {
    let status = response.status();
    let retry_after = retry_after(response.headers(), Utc::now());
    // The status decides; a body that fails or drips without end only costs the message.
    let reading = timeout(peer.read_timeout(), peer.read(&mut response, MAX_ERROR_BODY_BYTES));
    let body = reading.await.ok().and_then(Result::ok).unwrap_or_default();
    let said = Said::from_body(&body);
    let mut message = match &said.message {
        Some(message) => peer.excerpt(message, MAX_MESSAGE_CHARS),
        None => peer.excerpt_of_body(&body),
    };
    if message.is_empty() {
        status.canonical_reason().unwrap_or("no message").clone_into(&mut message);
    }
    if status == 404 && !has_version {
        message += "; is `/v1` missing from the base URL?";
    }
    let refusal = StatusError {
        status: status.as_u16(),
        code: said.code.as_deref().map(|code| peer.excerpt(code, MAX_MESSAGE_CHARS)),
        message,
        retry_after: retry_after.or(said.retry_after),
        asked: Some(format!("POST {}", peer.asked())),
    };
    (said, refusal)
}

/// Returns the refusal for a text of JSON that holds no answer, if it has a sentence where errors have theirs.
pub(super) fn without_wrapping(text: &str, peer: &Peer) -> Option<StatusError> {
    let body: JsonValue = serde_json::from_str(text).ok()?;
    let outermost = if let Some(list) = body.as_array() { list.first()? } else { &body };
    let has_place = |name: &&str| *name != "title" && outermost.get(*name).is_some();
    WRAPPINGS.iter().chain(&MESSAGES).any(has_place).then_some(())?;
    Said::from_json(&body)?.message.is_some().then(|| from_json(&body, peer))
}

/// Returns the refusal for an error inside an answer, whose status was one of success.
pub(super) fn from_json(body: &JsonValue, peer: &Peer) -> StatusError {
    let said = Said::from_json(body).unwrap_or_default();
    StatusError {
        status: said.status.unwrap_or(DEFAULT_STATUS),
        code: said.code.map(|code| peer.excerpt(&code, MAX_MESSAGE_CHARS)),
        message: peer.excerpt(&said.message.unwrap_or_else(|| body.to_string()), MAX_MESSAGE_CHARS),
        retry_after: said.retry_after,
        asked: None,
    }
}

impl Said {
    fn from_body(body: &[u8]) -> Self {
        let json = serde_json::from_slice(body).ok().or_else(|| {
            // Some servers send the error as they would send an answer.
            let mut frames = Frames::default();
            if !frames.push(body) {
                return None;
            }
            frames.finish();
            std::iter::from_fn(|| frames.next()).find_map(|frame| serde_json::from_slice(&frame.data).ok())
        });
        json.and_then(|json: JsonValue| Self::from_json(&json)).unwrap_or_default()
    }

    /// Reads `{"error": {"message", "code", "type", "param"}}`, `{"error": "text"}`, `{"message", "code", "type"}`,
    /// `{"detail": [{"msg", "loc"}]}`, lists of these and wrappings of them, also such as are JSON in a text.
    fn from_json(body: &JsonValue) -> Option<Self> {
        let mut said = Self::default();
        said.read(body, MAX_WRAPPINGS);
        (said != Self::default()).then_some(said)
    }

    fn read(&mut self, error: &JsonValue, depth: usize) {
        match error {
            JsonValue::String(text) => self.read_text(text, depth),
            JsonValue::Array(errors) => errors.iter().take(1).for_each(|error| self.read(error, depth)),
            JsonValue::Object(_) => {
                if depth == 0 {
                    return;
                }
                // From the inside out: what is said last, by the gateway, only adds what its provider did not say.
                for name in WRAPPINGS {
                    if let Some(inner) = error.get(name) {
                        self.read(inner, depth - 1);
                    }
                }
                self.read_fields(error, depth);
            }
            JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) => {}
        }
    }

    fn read_text(&mut self, text: &str, depth: usize) {
        let text = text.trim();
        let inner = Some(text).filter(|text| depth > 0 && text.starts_with(['{', '[']));
        match inner.and_then(|text| serde_json::from_str::<JsonValue>(text).ok()) {
            Some(inner) => self.read(&inner, depth - 1),
            None if self.message.is_none() && !text.is_empty() => self.message = Some(text.to_owned()),
            None => {}
        }
    }

    fn read_fields(&mut self, error: &JsonValue, depth: usize) {
        for name in MESSAGES {
            match error.get(name) {
                Some(JsonValue::String(message)) => self.read_text(message, depth),
                Some(message @ JsonValue::Object(_)) if self.message.is_none() => self.read(message, depth - 1),
                _ => {}
            }
        }
        let text = |name: &str| error.get(name)?.as_str().filter(|text| !text.is_empty());
        let number = |value: &JsonValue| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let code = error.get("code").and_then(number);
        let status = [code, error.get("status").and_then(number), error.get("status_code").and_then(number)];
        let mut status = status.into_iter().flatten().filter_map(|code| u16::try_from(code).ok());
        self.status = self.status.or(status.find(|code| (400..=599).contains(code)));
        let word = text("code").filter(|code| code.parse::<u64>().is_err()).or_else(|| text("type"));
        let word = word.filter(|word| *word != "error").or_else(|| text("status"));
        let word = word.map(str::to_owned).or_else(|| code.map(|code| code.to_string()));
        self.code = self.code.take().or(word);
        let place = error.get("loc").and_then(JsonValue::as_array).and_then(|place| place.last()?.as_str());
        self.field = self.field.take().or(text("param").or(place).map(str::to_owned));
        self.retry_after = self.retry_after.or_else(|| wait_of_fields(error));
    }
}

/// How long to wait, as Google's `RetryInfo` and others write it into the error.
fn wait_of_fields(error: &JsonValue) -> Option<Duration> {
    let number = |value: &JsonValue| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    let of_seconds = |value| number(value).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let of_millis = |value| number(value).and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok());
    let details = error.get("details").and_then(JsonValue::as_array).into_iter().flatten();
    let mut delays = details.chain([error]).filter_map(|detail| detail.get("retryDelay")?.as_str());
    let from_fields = error
        .get("retry_after_ms")
        .and_then(of_millis)
        .or_else(|| error.get("retry_after").and_then(of_seconds))
        .or_else(|| {
            delays.find_map(|delay| {
                delay.strip_suffix('s')?.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok())
            })
        });
    from_fields.or_else(|| wait_of_sentence(error.get("message")?.as_str()?))
}

/// How long to wait, from "Please try again in 1m2.5s" (OpenAI) or "Please retry after 26 seconds" (Azure).
fn wait_of_sentence(sentence: &str) -> Option<Duration> {
    let sentence = sentence.to_ascii_lowercase();
    let (_, wait) =
        ["try again in ", "retry after ", "retry in "].iter().find_map(|words| sentence.split_once(words))?;
    let (mut total, mut rest, mut has_unit) = (0.0, wait, false);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..end].trim_end_matches('.').parse::<f64>() else { break };
        let unit = rest[end..].trim_start();
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let seconds = match &unit[..letters] {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3_600.0,
            _ => break,
        };
        total += number * seconds;
        has_unit = true;
        rest = &unit[letters..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| has_unit)
}

/// Reads milliseconds, seconds or an HTTP date; a date that has passed means now.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = ["retry-after-ms", "x-ms-retry-after-ms"].into_iter().find_map(|name| text(name)?.parse::<f64>().ok());
    if let Some(wait) = millis.and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok()) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.trim_end_matches('s').parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let wait = http_date(value)?.signed_duration_since(now);
    Some(wait.to_std().unwrap_or_default())
}

/// Reads a date in the forms of RFC 9110, 5.6.7, and in that of RFC 3339.
fn http_date(text: &str) -> Option<DateTime<Utc>> {
    // The form that servers must send is also one of RFC 2822.
    let date = DateTime::parse_from_rfc2822(text).or_else(|_| DateTime::parse_from_rfc3339(text));
    let obsolete = || {
        let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|date| date.and_utc())
    };
    date.map(|date| date.to_utc()).ok().or_else(obsolete)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_read_in_the_shapes_that_servers_send() {
        let check = |body: JsonValue, status: Option<u16>, code: Option<&str>, message: Option<&str>| {
            let said = Said::from_json(&body).unwrap_or_default();
            assert_eq!((said.status, said.code.as_deref(), said.message.as_deref()), (status, code, message), "{body}");
        };
        // OpenAI.
        let body = json!({"error": {"message": "Bad key", "type": "invalid_request_error", "code": "invalid_api_key"}});
        check(body, None, Some("invalid_api_key"), Some("Bad key"));
        let body = json!({"error": {"message": "Too big", "type": "invalid_request_error", "code": null}});
        check(body, None, Some("invalid_request_error"), Some("Too big"));
        // llama.cpp.
        let body = json!({"error": {"message": "Loading", "type": "unavailable_error", "code": 503}});
        check(body, Some(503), Some("unavailable_error"), Some("Loading"));
        // OpenRouter, and one that quotes its numbers.
        check(json!({"error": {"message": "No credit", "code": 402}}), Some(402), Some("402"), Some("No credit"));
        check(json!({"error": {"message": "Slow down", "code": "429"}}), Some(429), Some("429"), Some("Slow down"));
        // Google, in a list of one.
        let body = json!([{"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}]);
        check(body, Some(503), Some("UNAVAILABLE"), Some("Overloaded"));
        // vLLM, and FastAPI below it.
        let body = json!({"object": "error", "message": "Too long", "type": "BadRequestError", "code": 400});
        check(body, Some(400), Some("BadRequestError"), Some("Too long"));
        check(json!({"detail": "Not Found"}), None, None, Some("Not Found"));
        let body = json!({"detail": [{"loc": ["body", "stream"], "msg": "Extra inputs", "type": "extra_forbidden"}]});
        check(body, None, Some("extra_forbidden"), Some("Extra inputs"));
        // Anthropic and Cloudflare.
        let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        check(body, None, Some("overloaded_error"), Some("Overloaded"));
        check(json!({"success": false, "errors": [{"message": "No", "code": 7003}]}), None, Some("7003"), Some("No"));
        // A gateway that passes on a text of JSON.
        let inner = json!({"error": {"message": "Blocked", "code": 451}}).to_string();
        check(json!({"error": {"message": inner, "code": 502}}), Some(451), Some("451"), Some("Blocked"));
        check(json!({"error": "model not found"}), None, None, Some("model not found"));
        check(json!({"error": {"code": 7}}), None, Some("7"), None);
        check(json!([1]), None, None, None);
        let deep = (0..100).fold(json!("deep"), |error, _| json!({"error": error}));
        check(deep, None, None, None);
    }

    #[test]
    fn a_body_may_be_an_event() {
        let said = Said::from_body(b"event: error\ndata: {\"error\":{\"message\":\"No\"}}\n\n");
        assert_eq!(said.message.as_deref(), Some("No"));
        assert_eq!(Said::from_body(b"<html>no</html>"), Said::default());
    }

    #[test]
    fn the_wait_is_read_in_every_spelling() {
        let now = DateTime::parse_from_rfc3339("1994-11-06T08:49:07Z").unwrap().to_utc();
        let check = |name: &'static str, value: &'static str, expected: Option<f64>| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs_f64), "{value}");
        };
        check("retry-after", "20", Some(20.0));
        check("retry-after", " 1.5 ", Some(1.5));
        check("retry-after", "34s", Some(34.0));
        check("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(30.0));
        check("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT", Some(30.0));
        check("retry-after", "Sun Nov  6 08:49:37 1994", Some(30.0));
        check("retry-after", "1994-11-06T08:49:37Z", Some(30.0));
        check("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0.0));
        check("retry-after", "-1", None);
        check("retry-after", "nan", None);
        check("retry-after", "1e300", None);
        check("retry-after", "soon", None);
        check("retry-after-ms", "1500", Some(1.5));
        check("x-ms-retry-after-ms", "1500", Some(1.5));
        assert_eq!(retry_after(&HeaderMap::new(), now), None);

        let check = |error: JsonValue, expected: Option<f64>| {
            let said = Said::from_json(&json!({"error": error})).unwrap_or_default();
            assert_eq!(said.retry_after, expected.map(Duration::from_secs_f64), "{error}");
        };
        check(json!({"message": "Please try again in 20ms. Visit …"}), Some(0.02));
        check(json!({"message": "Please try again in 1m2.5s."}), Some(62.5));
        check(json!({"message": "Please retry after 26 seconds."}), Some(26.0));
        check(json!({"message": "Try again in a while"}), None);
        check(json!({"retry_after": 3}), Some(3.0));
        check(json!({"retry_after_ms": "1500"}), Some(1.5));
        check(json!({"details": [{"@type": "Help"}, {"retryDelay": "34.5s"}]}), Some(34.5));
    }
}
