//! The HTTP client of the exporters: whom it asks, what counts as a collector's answer, and why a request failed.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::ExporterBuildError;
use reqwest::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT},
};
use serde_json::Value as JsonValue;

use super::{
    TelemetrySetupError,
    error::causes,
    remarks::{self, PartialSuccess},
    tls::Tls,
};
use crate::{environment::telemetry::OtlpSettings, http};

/// How much of a refusal's text is reported.
const MAX_REASON_CHARS: usize = 200;

/// A client that reports why a request did not get through, which the exporter leaves out, and that takes nothing but a
/// collector's answer for one.
#[derive(Debug)]
pub(super) struct CollectorClient(reqwest::Client);

impl CollectorClient {
    pub(super) fn new(settings: &OtlpSettings, Tls { authorities, client }: Tls) -> Result<Self, TelemetrySetupError> {
        let is_plain = authorities.is_none() && settings.endpoint.scheme() == "http";
        let builder = || http::client(settings.endpoint.host_str()).timeout(settings.timeout);
        let trusting = match authorities {
            Some(authorities) => builder().tls_certs_only(authorities.certificates),
            None => builder(),
        };
        let known = match client {
            Some(client) => trusting.identity(client.identity),
            None => trusting,
        };
        let client = match known.build() {
            // Without encryption it can send from a machine without certificates too.
            Err(_) if is_plain => builder().tls_certs_only([]).build(),
            built => built,
        };
        client.map(Self).map_err(|error| {
            let reason = format!("no HTTP client: {}", causes(&error));
            TelemetrySetupError::Exporter(ExporterBuildError::InternalFailure(reason))
        })
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let secrets = secrets(&request);
        match self.0.send_bytes(request).await {
            Ok(response) => Ok(checked(response, &secrets)),
            Err(error) => {
                remarks::explain(causes(error.as_ref()));
                Err(error)
            }
        }
    }
}

/// The values of the headers that a request carries besides those of every exporter.
fn secrets(request: &Request<Bytes>) -> Vec<String> {
    let headers =
        request.headers().iter().filter(|(name, _)| ![CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT].contains(name));
    headers.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// An answer as the exporter may take it: an error where it is not a collector's.
fn checked(mut response: Response<Bytes>, secrets: &[String]) -> Response<Bytes> {
    let status = response.status();
    if status.is_redirection() {
        remarks::explain("redirects are not followed, since they would take the telemetry elsewhere".to_owned());
    } else if status == StatusCode::NOT_FOUND {
        remarks::explain("is the path right? OTEL_EXPORTER_OTLP_ENDPOINT goes without v1/traces".to_owned());
    } else if !status.is_success()
        && let Some(reason) = reason(&response, secrets)
    {
        remarks::explain(reason);
    }
    if !status.is_success() || response.body().is_empty() {
        return response;
    }
    let media_type = media_type(&response);
    match media_type.as_deref() {
        None | Some("application/x-protobuf" | "application/protobuf") => return response,
        Some("application/json") => {
            if let Ok(JsonValue::Object(answer)) = serde_json::from_slice(response.body()) {
                if let Some(partial_success) = answer.get("partialSuccess").and_then(partial_success) {
                    remarks::partially(partial_success);
                }
                *response.body_mut() = Bytes::new();
                return response;
            }
        }
        Some(_) => {}
    }
    let media_type = media_type.unwrap_or_default();
    remarks::explain(format!(
        "the server answered {} with {media_type}, which is not a collector's answer: is there another server, or the \
         page of a proxy, at this address?",
        status.as_u16()
    ));
    // Not one of those after which the exporter tries again.
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

/// What a server says to a request that it refuses, on one line and not the whole; nothing if it repeats a secret.
fn reason(response: &Response<Bytes>, secrets: &[String]) -> Option<String> {
    let media_type = media_type(response)?;
    if media_type != "application/json" && media_type != "text/plain" {
        return None;
    }
    let body = std::str::from_utf8(response.body()).ok()?;
    if secrets.iter().any(|secret| body.contains(secret.as_str())) {
        return None;
    }
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.char_indices().nth(MAX_REASON_CHARS).map_or(line.len(), |(end, _)| end);
    Some(line[..end].to_owned()).filter(|reason| !reason.is_empty())
}

/// The answer's content type without parameters, in lower case.
fn media_type(response: &Response<Bytes>) -> Option<String> {
    let value = String::from_utf8_lossy(response.headers().get(CONTENT_TYPE)?.as_bytes());
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// What a collector says that took only a part; the JSON of a 64-bit number is a text.
fn partial_success(answer: &JsonValue) -> Option<PartialSuccess> {
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"].iter().find_map(|name| {
        let number = answer.get(name)?;
        number.as_u64().or_else(|| number.as_str()?.parse().ok())
    })?;
    let message = answer.get("errorMessage").and_then(JsonValue::as_str).unwrap_or_default().to_owned();
    Some(PartialSuccess { rejected, message })
}
