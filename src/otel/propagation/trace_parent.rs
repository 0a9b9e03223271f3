//! `traceparent` and `tracestate` to the letter of W3C Trace Context, since the SDK's propagator takes ids that are too
//! short or too long, signs and missing digits.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The length of `version-trace_id-parent_id-flags`.
const TRACE_PARENT_BYTES: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

/// How many members a `tracestate` may have.
const MAX_STATE_MEMBERS: usize = 32;

/// The longest key, and the longest value, of a `tracestate`.
const MAX_STATE_BYTES: usize = 256;

/// What an HTTP header may have around its value.
const OPTIONAL_SPACE: [char; 2] = [' ', '\t'];

/// Reads both headers; nothing if the first is not what W3C writes, without the second one's members if that is not.
pub(super) fn read(parent: &str, state: &str) -> Option<SpanContext> {
    let parent = parent.trim_matches(OPTIONAL_SPACE);
    let (known, rest) = parent.split_at_checked(TRACE_PARENT_BYTES)?;
    let mut fields = known.split('-');
    let version = hex(fields.next()?, 2)?;
    let trace_id = TraceId::from(hex(fields.next()?, 32)?);
    let span_id = SpanId::from(u64::try_from(hex(fields.next()?, 16)?).ok()?);
    let flags = TraceFlags::new(u8::try_from(hex(fields.next()?, 2)?).ok()?) & TraceFlags::SAMPLED;
    // A later version may have more fields; this one has none.
    let is_whole = fields.next().is_none() && (rest.is_empty() || version > 0 && rest.starts_with('-'));
    let is_valid = is_whole && version != 0xff && trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
    is_valid.then(|| SpanContext::new(trace_id, span_id, flags, true, read_state(state).unwrap_or_default()))
}

/// Writes a span's context as version `00`.
pub(super) fn write(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags() & TraceFlags::SAMPLED)
}

/// Writes the state, unless it has no members or, by a sampler's doing, some that a header cannot carry.
pub(super) fn write_state(state: &TraceState) -> Option<String> {
    let header = state.header();
    read_state(&header).filter(|state| *state != TraceState::NONE).map(|_| header)
}

/// A number of exactly so many digits, in lower case.
fn hex(digits: &str, count: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == count && digits.bytes().all(is_digit)).then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

fn read_state(header: &str) -> Option<TraceState> {
    let members = header.split(',').map(|member| member.trim_matches(OPTIONAL_SPACE));
    let members = members.filter(|member| !member.is_empty());
    let members: Vec<_> = members.map(|member| member.split_once('=')).collect::<Option<_>>()?;
    let keys = || members.iter().map(|(key, _)| *key);
    let is_repeated = keys().enumerate().any(|(index, key)| keys().take(index).any(|before| before == key));
    let is_valid = members.len() <= MAX_STATE_MEMBERS
        && !is_repeated
        && members.iter().all(|(key, value)| is_key(key) && is_value(value));
    if is_valid { TraceState::from_key_value(members).ok() } else { None }
}

/// A vendor's name, or a tenant of it before an `@`.
fn is_key(key: &str) -> bool {
    let is_start = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inner = |byte: u8| is_start(&byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= MAX_STATE_BYTES && key.as_bytes().first().is_some_and(is_start) && key.bytes().all(is_inner)
}

fn is_value(value: &str) -> bool {
    let is_visible = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    !value.is_empty() && value.len() <= MAX_STATE_BYTES && value.bytes().all(is_visible)
}
