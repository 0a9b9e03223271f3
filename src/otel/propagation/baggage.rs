//! Baggage to the letter of W3C Baggage, since the SDK's propagator cuts values at their second `=`, does not escape `%`
//! and decodes properties, which lets a caller write line feeds into our headers.

use std::fmt::Write as _;

use opentelemetry::baggage::{Baggage, BaggageMetadata};

/// How many members, and how many bytes, a receiver must be able to take; more than that is not handed on.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8_192;

/// What may stand around members, keys, values and properties.
const OPTIONAL_SPACE: [char; 2] = [' ', '\t'];

/// Reads the members that are well-formed.
pub(super) fn read(header: &str) -> Baggage {
    let mut baggage = Baggage::new();
    if header.len() <= MAX_BYTES {
        for (key, value, properties) in header.split(',').take(MAX_MEMBERS).filter_map(read_member) {
            baggage.insert_with_metadata(key, value, BaggageMetadata::from(properties));
        }
    }
    baggage
}

/// Writes what a header can carry of the members, in the order of their keys.
pub(super) fn write(baggage: &Baggage) -> Option<String> {
    let mut members: Vec<_> = baggage.iter().collect();
    members.sort_unstable_by_key(|(key, _)| key.as_str());
    let mut header = String::new();
    for (key, (value, properties)) in members.into_iter().take(MAX_MEMBERS) {
        let member = write_member(key.as_str(), value.as_str(), properties.as_str());
        if let Some(member) = member.filter(|member| header.len() + 1 + member.len() <= MAX_BYTES) {
            if !header.is_empty() {
                header.push(',');
            }
            header.push_str(&member);
        }
    }
    Some(header).filter(|header| !header.is_empty())
}

fn read_member(member: &str) -> Option<(String, String, String)> {
    let (pair, properties) = match member.split_once(';') {
        Some((pair, properties)) => (pair, Some(properties)),
        None => (member, None),
    };
    let (key, value) = pair.split_once('=')?;
    let (key, value) = (key.trim_matches(OPTIONAL_SPACE), value.trim_matches(OPTIONAL_SPACE));
    let properties = match properties {
        Some(properties) => read_properties(properties)?,
        None => String::new(),
    };
    (is_token(key) && is_value(value)).then(|| Some((key.to_owned(), decode(value)?, properties))).flatten()
}

/// The properties as they came, which is how they go on.
fn read_properties(properties: &str) -> Option<String> {
    let is_well_formed = |property: &str| match property.split_once('=') {
        Some((key, value)) => {
            is_token(key.trim_matches(OPTIONAL_SPACE)) && is_value(value.trim_matches(OPTIONAL_SPACE))
        }
        None => is_token(property.trim_matches(OPTIONAL_SPACE)),
    };
    properties.split(';').all(is_well_formed).then(|| properties.trim_matches(OPTIONAL_SPACE).to_owned())
}

fn write_member(key: &str, value: &str, properties: &str) -> Option<String> {
    if !is_token(key) {
        return None;
    }
    let mut member = format!("{key}=");
    for byte in value.bytes() {
        if is_octet(byte) && byte != b'%' {
            member.push(char::from(byte));
        } else {
            write!(member, "%{byte:02X}").ok()?;
        }
    }
    if let Some(properties) = Some(properties).filter(|properties| !properties.is_empty()) {
        member.push(';');
        member.push_str(&read_properties(properties)?);
    }
    Some(member)
}

/// A value without its percent-encoding; what is not UTF-8 then becomes the replacement character, as W3C asks.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digits = [char::from(rest.next()?), char::from(rest.next()?)].map(|digit| digit.to_digit(16));
            let [Some(high), Some(low)] = digits else { return None };
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A `token` of RFC 9110.
fn is_token(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_sign)
}

fn is_value(text: &str) -> bool {
    text.bytes().all(is_octet)
}

/// A `baggage-octet`: no space, quote, comma, semicolon or backslash, no control character and nothing beyond ASCII.
const fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
