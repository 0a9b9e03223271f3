//! Numbers that are known by a checksum or a form: IBANs, payment cards, phones.
//!
//! Each begins and ends where no letter or digit stands beside it. A number whose check fails hides none that begins at a
//! later group, and none takes a group more than it has.

use std::ops::Range;

use crate::wording::backslashes_before;

/// The lengths of the IBANs of each country, by the registry of ISO 13616.
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 \
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 \
    PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 \
    YE30";

/// The groups that cards are printed in.
const CARD_GROUPS: [&[usize]; 6] =
    [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 4, 4, 4, 2], &[4, 4, 4, 4, 1], &[4, 6, 5], &[4, 6, 4]];

/// How many digits a phone number has at least, and at most, with its country code.
const PHONE_DIGITS: Range<usize> = 7..16;

/// How many digits a phone number of the North American plan has, whose country code is 1.
const NORTH_AMERICAN_DIGITS: usize = 11;

/// The next IBAN.
pub(super) fn next_iban(text: &str, from: usize) -> Option<Range<usize>> {
    next(text, from, |byte| byte.is_ascii_alphabetic(), iban_end)
}

/// The next number of a card.
pub(super) fn next_card(text: &str, from: usize) -> Option<Range<usize>> {
    next(text, from, |byte| byte.is_ascii_digit(), card_end)
}

/// The next phone number.
pub(super) fn next_phone(text: &str, from: usize) -> Option<Range<usize>> {
    next(text, from, |byte| matches!(byte, b'+' | b'('), phone_end)
}

/// The first number that begins with such a byte and of which `end` finds the end.
fn next(
    text: &str,
    from: usize,
    is_first: impl Fn(u8) -> bool,
    end: impl Fn(&str) -> Option<usize>,
) -> Option<Range<usize>> {
    let starts = (from..text.len()).filter(|at| is_first(text.as_bytes()[*at]) && begins_alone(text, *at));
    starts.map(|start| (start, end(&text[start..]))).find_map(|(start, end)| Some(start..start + end?))
}

/// Whether a number may begin here: behind no letter, digit or sign that would make it a part of something longer.
fn begins_alone(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let before = |steps: usize| at.checked_sub(steps).map(|at| bytes[at]);
    match before(1) {
        None => true,
        Some(b'n' | b'r' | b't' | b'b' | b'f') if before(2) == Some(b'\\') => {
            !backslashes_before(text, at - 1).is_multiple_of(2)
        }
        // The digits behind a point are those of a fraction.
        Some(b'.') => !before(2).is_some_and(|byte| byte.is_ascii_digit()),
        Some(byte) => !is_part(byte),
    }
}

fn ends_alone(rest: &str) -> bool {
    !rest.bytes().next().is_some_and(is_part)
}

const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+')
}

/// An IBAN is written as one word or in groups of four, all with the same sign between them; a UUID's last groups are not.
fn iban_end(text: &str) -> Option<usize> {
    let country = text.get(..2)?.to_ascii_uppercase();
    let length = IBAN_LENGTHS.split(' ').find_map(|entry| entry.strip_prefix(&*country))?.parse().ok()?;
    let mut signs = Vec::with_capacity(length);
    let separator = text.as_bytes().get(4).copied().filter(|byte| matches!(byte, b' ' | b'-'));
    let mut is_due = false;
    for (at, byte) in text.bytes().enumerate() {
        if is_due {
            is_due = false;
            if Some(byte) != separator {
                return None;
            }
            continue;
        }
        match byte {
            _ if byte.is_ascii_alphanumeric() => signs.push(byte.to_ascii_uppercase()),
            _ => return None,
        }
        if signs.len() == length {
            return (is_iban(&signs) && ends_alone(&text[at + 1..])).then_some(at + 1);
        }
        is_due = separator.is_some() && signs.len() % 4 == 0;
    }
    None
}

/// The checksum of ISO 13616: the number with its first four signs moved to its end is 1 modulo 97.
fn is_iban(signs: &[u8]) -> bool {
    let (start, rest) = signs.split_at(4);
    let remainder = rest.iter().chain(start).fold(0, |remainder: u32, sign| match sign {
        b'0'..=b'9' => (remainder * 10 + u32::from(sign - b'0')) % 97,
        _ => (remainder * 100 + u32::from(sign - b'A') + 10) % 97,
    });
    start[2..].iter().all(u8::is_ascii_digit) && remainder == 1
}

fn card_end(text: &str) -> Option<usize> {
    let run = digits(text);
    if (13..=19).contains(&run) {
        return (is_card(&text[..run]) && ends_alone(&text[run..])).then_some(run);
    }
    CARD_GROUPS.iter().find_map(|groups| {
        let end = groups_end(text, groups)?;
        (is_card(&text[..end]) && ends_alone(&text[end..])).then_some(end)
    })
}

/// The end of groups of so many digits with one space or one hyphen between them.
fn groups_end(text: &str, groups: &[usize]) -> Option<usize> {
    let mut end = 0;
    let mut separator = None;
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            let found = text.as_bytes().get(end).copied().filter(|byte| matches!(byte, b' ' | b'-'))?;
            if *separator.get_or_insert(found) != found {
                return None;
            }
            end += 1;
        }
        if digits(&text[end..]) != *length {
            return None;
        }
        end += length;
    }
    Some(end)
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The first digits of a payment system, and the checksum of ISO/IEC 7812-1, from the last digit on.
fn is_card(text: &str) -> bool {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0')).collect();
    let issuer = digits.iter().take(4).fold(0, |number, digit| number * 10 + digit);
    let is_issuer = matches!(issuer, 2221..=2720 | 3000..=3099 | 3400..=3499 | 3528..=3589 | 3600..=3999 | 4000..=6999);
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(i, digit)| if i % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    is_issuer && sum.is_multiple_of(10)
}

fn phone_end(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix('(') {
        return area_code_end(rest).map(|end| end + 1);
    }
    let bytes = text.as_bytes();
    let is_north_american = bytes.get(1) == Some(&b'1');
    let mut longest = None;
    let (mut count, mut at) = (0, 1);
    while at < bytes.len() {
        let start = at;
        if count > 0 && matches!(bytes[at], b' ' | b'.' | b'/' | b'-') {
            at += 1;
        }
        if count > 0 && bytes.get(at) == Some(&b'(') {
            at += 1;
        }
        let run = digits(&text[at..]);
        if run == 0 {
            break;
        }
        count += run;
        at += run;
        let is_bracketed = text[start..at].contains('(');
        if is_bracketed && bytes.get(at) == Some(&b')') {
            at += 1;
        }
        let has_length = if is_north_american { count == NORTH_AMERICAN_DIGITS } else { PHONE_DIGITS.contains(&count) };
        if has_length && ends_alone(&text[at..]) {
            longest = Some(at);
        }
        if count >= PHONE_DIGITS.end {
            break;
        }
    }
    longest
}

/// The end of `555) 123-4567`.
fn area_code_end(text: &str) -> Option<usize> {
    let rest = text.get(3..).filter(|_| digits(text) == 3)?.strip_prefix(')')?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let last = rest.get(3..).filter(|_| digits(rest) == 3 || digits(rest) == 7)?;
    let last = last.strip_prefix([' ', '.', '-']).unwrap_or(last);
    let after = last.get(4..).filter(|_| digits(last) == 4)?;
    ends_alone(after).then(|| text.len() - after.len())
}
