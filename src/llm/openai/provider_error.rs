//! What a provider says when it refuses: an HTTP error status, or an error inside the answer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value as JsonValue;
use tokio::time::timeout;

use super::peer::Peer;
use crate::llm::{ModelError, StatusError};

/// The most that is read of the body of an answer with an error status: 16 KiB.
pub(super) const MAX_ERROR_BODY_BYTES: usize = 16 * 1024;

/// The longest sentence of a provider that goes into an error whole.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The status of an error inside an answer that names none.
const DEFAULT_STATUS: u16 = 500;

/// The error for an answer with an error status.
pub(super) async fn from_response(mut response: Response, peer: &Peer) -> ModelError {
    let status = response.status();
    let retry_after = retry_after(response.headers(), Utc::now());
    // The status decides; a body that fails or drips without end only costs the message.
    let reading = timeout(peer.read_timeout(), peer.read(&mut response, MAX_ERROR_BODY_BYTES));
    let (body, _) = reading.await.ok().and_then(Result::ok).unwrap_or_default();
    let said = serde_json::from_slice(&body).ok().and_then(|body| Said::from_json(&body)).unwrap_or_default();
    let message =
        said.message.map_or_else(|| peer.excerpt_of_body(&body), |message| peer.excerpt(&message, MAX_MESSAGE_CHARS));
    let message =
        if message.is_empty() { status.canonical_reason().unwrap_or("no message").to_owned() } else { message };
    let code = said.code.map(|code| peer.excerpt(&code, MAX_MESSAGE_CHARS));
    StatusError { status: status.as_u16(), code, message, retry_after }.into()
}

/// The error for an `error` object inside an answer, whose status was one of success.
pub(super) fn from_json(body: &JsonValue, peer: &Peer) -> ModelError {
    let said = Said::from_json(body).unwrap_or_default();
    let refusal = StatusError {
        status: said.status.unwrap_or(DEFAULT_STATUS),
        code: said.code.map(|code| peer.excerpt(&code, MAX_MESSAGE_CHARS)),
        message: peer.excerpt(&said.message.unwrap_or_else(|| body.to_string()), MAX_MESSAGE_CHARS),
        retry_after: None,
    };
    refusal.into()
}

#[derive(Debug, Default, PartialEq)]
struct Said {
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
}

impl Said {
    /// Reads `{"error": {"message", "code", "type"}}`, `{"error": "text"}` and `{"message", "code", "type"}`.
    fn from_json(body: &JsonValue) -> Option<Self> {
        let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
        if let Some(text) = error.as_str() {
            return Some(Self { message: Some(text.to_owned()), ..Self::default() });
        }
        let text = |name| error.get(name)?.as_str().filter(|text| !text.is_empty());
        let number = match error.get("code") {
            Some(JsonValue::String(code)) => code.parse().ok(),
            Some(code) => code.as_u64(),
            None => None,
        };
        let word = text("code").filter(|code| code.parse::<u64>().is_err()).or_else(|| text("type"));
        let said = Self {
            status: number.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..=599).contains(code)),
            code: word.map(str::to_owned).or_else(|| number.map(|code| code.to_string())),
            message: text("message").map(str::to_owned),
        };
        (said != Self::default()).then_some(said)
    }
}

/// Reads seconds or an HTTP date; a date that has passed means now.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    // The form of HTTP dates that servers must send is also one of RFC 2822.
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some(date.signed_duration_since(now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_read_in_the_shapes_that_servers_give_them() {
        let check = |body: JsonValue, status: Option<u16>, code: Option<&str>, message: Option<&str>| {
            let said = Said::from_json(&body).unwrap_or_default();
            let expected = Said { status, code: code.map(str::to_owned), message: message.map(str::to_owned) };
            assert_eq!(said, expected, "{body}");
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
        // vLLM.
        let body = json!({"object": "error", "message": "Too long", "type": "BadRequestError", "code": 400});
        check(body, Some(400), Some("BadRequestError"), Some("Too long"));
        check(json!({"error": "model not found"}), None, None, Some("model not found"));
        check(json!({"error": {"code": 7}}), None, Some("7"), None);
        check(json!({"detail": "Not Found"}), None, None, None);
        check(json!([1]), None, None, None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc3339("1994-11-06T08:49:07Z").unwrap().to_utc();
        let check = |value: &'static str, expected: Option<f64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs_f64), "{value}");
        };
        check("20", Some(20.0));
        check(" 1.5 ", Some(1.5));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(30.0));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0.0));
        check("-1", None);
        check("nan", None);
        check("soon", None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
