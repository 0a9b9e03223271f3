//! Who may ask: the host that was asked, the page that asks, the token.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use subtle::ConstantTimeEq as _;

use crate::{
    access::{Access, TOKEN_PARAMETER},
    refusal::Refusal,
    shared::Shared,
};

/// Lets a request through, or refuses it.
pub(crate) async fn check(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let access = shared.access();
    let origin = match access.admit(&request) {
        Ok(origin) => origin,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(origin) = &origin
        && request.method() == Method::OPTIONS
    {
        return preflight(origin);
    }
    if let Err(refusal) = access.authorize(&request) {
        return with_origin(refusal.into_response(), origin);
    }
    with_origin(next.run(request).await, origin)
}

impl Access {
    /// Checks host and origin. Returns the origin if it is another one's and allowed, which browsers want to hear.
    fn admit(&self, request: &Request) -> Result<Option<HeaderValue>, Refusal> {
        let host = host(request)?;
        if !self.is_host(&host) {
            let message = format!(
                "this server is not reached under the name {:?}: use localhost, or allow the name by `with_allowed_host`",
                host.host()
            );
            return Err(Refusal::new(StatusCode::FORBIDDEN, "host_not_allowed", message).at("header Host"));
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let its_host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        if its_host.is_some_and(|its| its.eq_ignore_ascii_case(host.as_str())) {
            return Ok(None);
        }
        if self.origins.contains(&text) {
            return Ok(Some(origin.clone()));
        }
        let message = format!("pages of {text:?} may not read here: allow the origin by `with_allowed_origin`");
        Err(Refusal::new(StatusCode::FORBIDDEN, "origin_not_allowed", message).at("header Origin"))
    }

    fn is_host(&self, host: &Authority) -> bool {
        let name = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_loopback = name == "localhost"
            || name.ends_with(".localhost")
            || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        is_loopback || self.hosts.iter().any(|allowed| *allowed == name || host.as_str().eq_ignore_ascii_case(allowed))
    }

    fn authorize(&self, request: &Request) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let in_query = || {
            let query = request.uri().query().filter(|_| self.token_in_query)?;
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == TOKEN_PARAMETER).map(|(_, value)| value.into_owned())
        };
        let sent = bearer(request.headers()).map(str::to_owned).or_else(in_query);
        // Only its length can be learned from the time that this takes.
        let is_right = sent.as_ref().is_some_and(|sent| bool::from(sent.as_bytes().ct_eq(token.as_bytes())));
        if is_right {
            return Ok(());
        }
        let what = if sent.is_some() { "the token is wrong" } else { "a token is missing" };
        let message = format!("{what}: send it as `Authorization: Bearer TOKEN`");
        Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message).at("header Authorization"))
    }
}

/// The host that was asked, by the header, or by the address where that is a whole one.
fn host(request: &Request) -> Result<Authority, Refusal> {
    let headers = request.headers().get_all(header::HOST);
    let mut named = headers.iter().map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = match (named.next(), named.next()) {
        (Some(host), None) => host,
        (None, None) => request.uri().authority().cloned(),
        (_, Some(_)) => None,
    };
    host.ok_or_else(|| Refusal::malformed("header Host", "the request has to name one host"))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A browser asks first whether it may send a token.
fn preflight(origin: &HeaderValue) -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, last-event-id")),
    ];
    with_origin((StatusCode::NO_CONTENT, headers).into_response(), Some(origin.clone()))
}

fn with_origin(mut response: Response, origin: Option<HeaderValue>) -> Response {
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}
