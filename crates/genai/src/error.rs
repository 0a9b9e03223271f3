//! A failure of genai as one that the runtime knows what to do about.

use std::time::Duration;

use agent_runtime::llm::{ModelError, StatusError};
use genai::{Error, webc};

/// The header by which a provider says when to ask again, in seconds.
const RETRY_AFTER: &str = "retry-after";

/// The same failure, by whether it makes sense to ask again.
pub(crate) fn model_error(error: Error) -> ModelError {
    match error {
        Error::WebModelCall { model_iden, webc_error } => of_the_web(webc_error, &model_iden.model_name),
        Error::WebAdapterCall { adapter_kind, webc_error } => of_the_web(webc_error, adapter_kind.as_lower_str()),
        Error::HttpError { status, body, headers, .. } => {
            let retry_after = headers.get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
            status_error(status.as_u16(), body, retry_after)
        }
        // A stream says in here that it was refused.
        Error::WebStream { model_iden, error, .. } => match error.downcast::<Error>() {
            Ok(error) => model_error(*error),
            Err(error) => of_the_stream(error, &model_iden.model_name),
        },
        Error::ChatResponse { .. }
        | Error::ChatResponseGeneration { .. }
        | Error::StreamParse { .. }
        | Error::NoChatResponse { .. }
        | Error::InvalidJsonResponseElement { .. }
        | Error::SerdeJson(_)
        | Error::JsonValueExt(_) => ModelError::protocol(error.to_string()),
        other => ModelError::Configuration(other.to_string()),
    }
}

fn of_the_web(error: webc::Error, server: &str) -> ModelError {
    match error {
        webc::Error::ResponseFailedStatus { status, body, headers } => {
            let retry_after = headers.get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
            status_error(status.as_u16(), body, retry_after)
        }
        webc::Error::Reqwest(error) => match error.status() {
            Some(status) => status_error(status.as_u16(), error.to_string(), None),
            None => ModelError::connection(server, error),
        },
        other => ModelError::protocol(other.to_string()),
    }
}

/// What befell a stream that was open, or was not opened.
fn of_the_stream(error: genai::BoxError, server: &str) -> ModelError {
    match error.downcast::<reqwest::Error>() {
        Ok(error) if error.is_connect() => ModelError::connection(server, error),
        Ok(_) | Err(_) => ModelError::StreamInterrupted,
    }
}

fn status_error(status: u16, body: String, retry_after: Option<Duration>) -> ModelError {
    let json: Option<serde_json::Value> = serde_json::from_str(&body).ok();
    let text = |field: &str| json.as_ref()?.get("error")?.get(field)?.as_str().map(str::to_owned);
    let mut error = StatusError::new(status, text("message").unwrap_or(body));
    error.code = text("code").or_else(|| text("type"));
    error.retry_after = retry_after;
    ModelError::Status(error)
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}
