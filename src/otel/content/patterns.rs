//! The ready redactor: keys, e-mail addresses and other texts that can be told by their form.

use std::{borrow::Cow, fmt, sync::LazyLock};

use regex::{Captures, Regex};

use super::Redactor;

/// A [`Redactor`] for what can be told by its form; it puts a marker such as `[redacted:email]` in the place of it.
///
/// | marker | stands for |
/// | --- | --- |
/// | `private_key` | a private key in PEM, also one without its end |
/// | `credentials` | user and password in a URL; what follows `Authorization:`, `password=`, `api_key:` and the like |
/// | `token` | a bearer token, a JWT |
/// | `api_key` | keys of OpenAI, Anthropic, AWS, GitHub, GitLab, Google, Groq, Hugging Face, npm, PyPI, Slack, Stripe |
/// | `email` | an e-mail address |
/// | `iban` | an IBAN whose checksum is right |
/// | `card` | a payment card's number whose checksum is right |
/// | `phone` | a phone number with its country code or with its area code in brackets |
/// | `field` | the value of a JSON field whose name says that it is secret: `password`, `api_key`, `token`, … |
///
/// It cannot know what has no form of its own: names, addresses, or a secret in the middle of a sentence. The patterns
/// take time linear in the text.
///
/// ```
/// use agent_runtime::otel::{PatternRedactor, Redactor};
///
/// let redactor = PatternRedactor::new().with_pattern("ticket", r"\bACME-[0-9]+\b")?;
/// let text = "Ask ann@example.com about ACME-77, password: hunter2";
/// assert_eq!(redactor.redact(text), "Ask [redacted:email] about [redacted:ticket], password: [redacted:credentials]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct PatternRedactor {
    own: Vec<(String, Regex)>,
}

/// A text that is told by a pattern and perhaps a check. The group `keep` of a pattern stays.
struct Rule {
    kind: &'static str,
    regex: Regex,
    is_it: fn(&str) -> bool,
    /// Whether it must not be a part of a longer run of letters and digits, such as an id.
    stands_alone: bool,
}

/// In this order, so that what is inside of another goes with it.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |kind, pattern: &str, is_it, stands_alone| Rule {
        kind,
        regex: Regex::new(pattern).expect("the patterns are constants, and a test compiles them"),
        is_it,
        stands_alone,
    };
    let any: fn(&str) -> bool = |_| true;
    vec![
        rule(
            "private_key",
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
            any,
            false,
        ),
        rule("credentials", r"(?<keep>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@]*:[^\s/?#@]*(?<keep_after>@)", any, false),
        rule(
            "credentials",
            r#"(?i)(?<keep>\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|digest)\s+)?)[^\s"',;\[]+"#,
            any,
            false,
        ),
        rule("token", r"(?i)(?<keep>\bbearer\s+)[A-Za-z0-9._~+/-]{16,}=*", any, false),
        rule("token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", any, false),
        rule("api_key", API_KEYS, any, false),
        rule(
            "credentials",
            r#"(?i)(?<keep>(?:api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|client[_-]?secret|(?:access|refresh|auth|id|api)[_-]?token|passw(?:or)?d|passphrase|pwd|secret)["']?\s*[:=]\s*["']?)[^\s"',;&\[]{4,}"#,
            any,
            false,
        ),
        rule(
            "email",
            r#"[^\s@<>()\[\]{}"',;:/?=&|\\]+@(?:[\w-]+\.)+[\w-]{2,}|[^\s@<>()\[\]{}"',;:/?=&|\\]+%40(?:[\w-]+\.)+[\w-]{2,}"#,
            any,
            false,
        ),
        rule("iban", r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?", is_iban, true),
        rule(
            "card",
            r"[2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5}",
            is_card,
            true,
        ),
        rule("phone", r"\+[0-9](?:[ ./-]?\(?[0-9]\)?){6,14}|\([0-9]{3}\) ?[0-9]{3}[ .-]?[0-9]{4}", any, true),
    ]
});

/// Keys that begin with their provider's sign.
const API_KEYS: &str = concat!(
    r"\b(?:",
    r"sk-[A-Za-z0-9_-]{16,}",
    r"|[spr]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    r"|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}",
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}",
    r"|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}",
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}",
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r")",
);

/// Names of fields, in lower case and without separators, whose value is secret: as a whole name, or at its end.
const SECRET_FIELDS: [&str; 16] = [
    "accesskey",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "cvc",
    "cvv",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "token",
];

impl PatternRedactor {
    /// Makes a redactor with the patterns of the table above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern of the user's, in the syntax of the `regex` crate; it is applied before the others.
    ///
    /// The group `keep` of a pattern, if it has one, stays in front of the marker.
    ///
    /// # Errors
    ///
    /// If the pattern cannot be compiled.
    pub fn with_pattern(mut self, kind: impl Into<String>, pattern: &str) -> Result<Self, regex::Error> {
        self.own.push((kind.into(), Regex::new(pattern)?));
        Ok(self)
    }
}

impl Redactor for PatternRedactor {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut redacted = Cow::Borrowed(text);
        for (kind, regex) in &self.own {
            apply(&mut redacted, regex, |found, _| Some(marked(found, kind)));
        }
        for rule in RULES.iter() {
            apply(&mut redacted, &rule.regex, |found, text| rule.replacement(found, text));
        }
        redacted
    }

    fn redact_field<'a>(&self, field: &str, text: &'a str) -> Cow<'a, str> {
        if is_secret(field) && !text.is_empty() { "[redacted:field]".into() } else { self.redact(text) }
    }
}

impl Rule {
    fn replacement(&self, found: &Captures<'_>, text: &str) -> Option<String> {
        let whole = found.get_match();
        let stands_alone = || {
            let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '+');
            let before = text[..whole.start()].chars().next_back();
            let mut after = text[whole.end()..].chars();
            // A point before a number makes it the end of a fraction.
            !before.is_some_and(|c| is_part(c) || c == '.') && !after.next().is_some_and(is_part)
        };
        ((self.is_it)(whole.as_str()) && (!self.stands_alone || stands_alone())).then(|| marked(found, self.kind))
    }
}

/// Replaces what is found, unless nothing is to be.
fn apply(text: &mut Cow<'_, str>, regex: &Regex, replacement: impl Fn(&Captures<'_>, &str) -> Option<String>) {
    let replaced = match regex.replace_all(text, |found: &Captures<'_>| {
        replacement(found, text).unwrap_or_else(|| found.get_match().as_str().to_owned())
    }) {
        Cow::Borrowed(_) => return,
        Cow::Owned(replaced) => replaced,
    };
    *text = Cow::Owned(replaced);
}

fn marked(found: &Captures<'_>, kind: &str) -> String {
    let group = |name| found.name(name).map_or("", |group| group.as_str());
    format!("{}[redacted:{kind}]{}", group("keep"), group("keep_after"))
}

fn is_secret(field: &str) -> bool {
    let name: String = field.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_FIELDS.iter().any(|secret| name.ends_with(secret))
}

/// The Luhn checksum (ISO/IEC 7812-1), from the last digit on.
fn is_card(text: &str) -> bool {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0')).collect();
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(i, digit)| if i % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// The checksum of ISO 13616: the number with its first four signs moved to its end is 1 modulo 97.
fn is_iban(text: &str) -> bool {
    let signs: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let (Some(start), Some(rest)) = (signs.get(..4), signs.get(4..)) else { return false };
    let remainder = rest.iter().chain(start).fold(0, |remainder: u32, sign| match sign {
        b'0'..=b'9' => (remainder * 10 + u32::from(sign - b'0')) % 97,
        _ => (remainder * 100 + u32::from(sign - b'A') + 10) % 97,
    });
    (15..=34).contains(&signs.len()) && remainder == 1
}

impl fmt::Debug for PatternRedactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatternRedactor").field("own", &self.own).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(PatternRedactor::new().redact(text), expected, "{text}");
    }

    #[test]
    fn what_has_a_form_is_redacted() {
        let rows = [
            ("key sk-proj-AbCdEf0123456789_xyz, ok", "key [redacted:api_key], ok"),
            ("sk-ant-api03-AbCdEf0123456789", "[redacted:api_key]"),
            ("AKIAIOSFODNN7EXAMPLE", "[redacted:api_key]"),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a!", "[redacted:api_key]!"),
            ("github_pat_11ABCDEFG0123456789_abcdefghij", "[redacted:api_key]"),
            ("xoxb-123456789012-abcdef", "[redacted:api_key]"),
            ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[redacted:api_key]"),
            ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "[redacted:api_key]"),
            ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln b", "a [redacted:token] b"),
            ("Bearer abcdef0123456789abcdef==", "Bearer [redacted:token]"),
            ("Authorization: Bearer short", "Authorization: Bearer [redacted:credentials]"),
            (r#"{"authorization": "Basic dXNlcjpwYXNz"}"#, r#"{"authorization": "Basic [redacted:credentials]"}"#),
            ("https://ann:hunter2@example.com/x", "https://[redacted:credentials]@example.com/x"),
            ("GET /v1?api_key=abcd1234&q=1", "GET /v1?api_key=[redacted:credentials]&q=1"),
            ("PASSWORD = 'hunter2'", "PASSWORD = '[redacted:credentials]'"),
            ("write to ann.b+c@mail.example.co.uk.", "write to [redacted:email]."),
            ("jürgen@müller.example", "[redacted:email]"),
            ("?to=ann%40example.com", "?to=[redacted:email]"),
            ("card 4111 1111 1111 1111, 5500-0000-0000-0004", "card [redacted:card], [redacted:card]"),
            ("378282246310005", "[redacted:card]"),
            ("card=3782 822463 10005", "card=[redacted:card]"),
            ("4111 1111 1111 1111 12/27 123", "[redacted:card] 12/27 123"),
            ("pay DE89 3704 0044 0532 0130 00 now", "pay [redacted:iban] now"),
            ("GB29NWBK60161331926819", "[redacted:iban]"),
            ("call +49 170 1234567 or (555) 123-4567", "call [redacted:phone] or [redacted:phone]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
                "[redacted:private_key]\nrest",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIE cut off here", "[redacted:private_key]"),
        ];
        for (text, expected) in rows {
            check(text, expected);
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        let rows = [
            "The total is 1723456789012345678 of 4111111111111112.",
            "0.4111111111111111",
            "id4111111111111111",
            "task-force and risk-assessment",
            "the bearer of this letter",
            "1+12345678",
            "a@b",
            "the password is required",
            "DE00 3704 0044 0532 0130 00",
            "max_tokens=4096",
            "researcher:llm:12",
            "2026-08-03T12:34:56.789012Z",
            "127.0.0.1:4318",
        ];
        for text in rows {
            check(text, text);
        }
        for _ in 0..1_000 {
            let id = Uuid::now_v7();
            check(&format!("wf_{}", id.simple()), &format!("wf_{}", id.simple()));
            check(&id.to_string(), &id.to_string());
        }
    }

    #[test]
    fn a_field_is_secret_by_its_name() {
        let redactor = PatternRedactor::new();
        for field in ["password", "DB_PASSWORD", "apiKey", "X-Api-Key", "access_token", "token", "client-secret"] {
            assert_eq!(redactor.redact_field(field, "x"), "[redacted:field]", "{field}");
        }
        for field in ["max_tokens", "content", "passwords_changed", "tokenizer", "secretary"] {
            assert_eq!(redactor.redact_field(field, "x"), "x", "{field}");
        }
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let text = "Bearer abcdef0123456789abcdef, ann@example.com, password=hunter2, +49 170 1234567";
        let redactor = PatternRedactor::new();
        let once = redactor.redact(text).into_owned();
        assert_eq!(redactor.redact(&once), once);
    }
}
