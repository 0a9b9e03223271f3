//! The ready redactor: keys, e-mail addresses and other texts that are known by their form.

use std::{borrow::Cow, fmt, ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use super::{Redactor, numbers, secrets};

/// A [`Redactor`] for what is known by its form; it puts a marker such as `[redacted:email]` in its place.
///
/// | marker | stands for |
/// | --- | --- |
/// | `private_key` | a private key in PEM, also one without its end |
/// | `credentials` | user and password in a URL; what follows `Authorization:`, `Cookie:`, `password=`, `api_key:`, `token=` and the like, up to the quote that ends it |
/// | `token` | a bearer token, a JWT |
/// | `api_key` | keys of OpenAI, Anthropic, AWS, GitHub, GitLab, Google, Groq, Hugging Face, npm, PyPI, Slack, Stripe |
/// | `email` | an e-mail address |
/// | `iban` | an IBAN whose checksum is right, in capital letters or not |
/// | `card` | a payment card's number whose checksum is right |
/// | `phone` | a phone number with its country code or with its area code in brackets |
/// | `field` | the value of a JSON field whose name says that it is secret: `password`, `api_key`, `token`, … |
///
/// They are found between words and numbers of any kind, in JSON, in JSON inside JSON, and in what an error quotes with
/// backslashes. It cannot know what has no form of its own: names, addresses, or a secret in the middle of a sentence. The patterns
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

/// What is found, and how.
struct Rule {
    kind: &'static str,
    find: Find,
}

enum Find {
    /// By a pattern; its groups `keep` and `keep_after` stay.
    Pattern(Regex),
    /// By code, which returns the next one from a place on.
    Code(fn(&str, usize) -> Option<Range<usize>>),
}

/// Where a key may begin: behind anything but a letter or a digit, or behind an escaped line feed and the like.
macro_rules! start {
    () => {
        r"(?<keep>(?:^|[^A-Za-z0-9]|\\[nrtbf])"
    };
}

/// In this order, so that what is inside another goes with it.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let pattern = |kind, pattern: &str| Rule {
        kind,
        find: Find::Pattern(Regex::new(pattern).expect("the patterns are constants, and a test compiles them")),
    };
    let code = |kind, find| Rule { kind, find: Find::Code(find) };
    vec![
        pattern(
            "private_key",
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
        ),
        pattern("credentials", r"(?<keep>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@]*:[^\s/?#@]*(?<keep_after>@)"),
        pattern(
            "credentials",
            concat!(
                "(?i)",
                start!(),
                r#"(?:proxy-)?authorization\\*["']?\s*[:=]\s*\\*["']?(?:(?:bearer|basic|token|digest)\s+)?)[^\s"',;\[\\]+"#
            ),
        ),
        pattern("token", concat!("(?i)", start!(), r"bearer\s+)[A-Za-z0-9._~+/-]{16,}=*")),
        pattern("token", concat!(start!(), r")eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*")),
        pattern("api_key", API_KEYS),
        pattern(
            "credentials",
            concat!(
                "(?i)",
                start!(),
                r#"(?:set-)?cookie\\*["']?\s*[:=]\s*\\*["']?)[^\s=;,"'\\]+=[^\s;,"'\\]*(?:;\s*[^\s=;,"'\\]+(?:=[^\s;,"'\\]*)?)*"#
            ),
        ),
        code("credentials", secrets::next),
        pattern(
            "email",
            r#"[^\s@<>()\[\]{}"',;:/?=&|\\]+@(?:[\w-]+\.)+[\w-]{2,}|[^\s@<>()\[\]{}"',;:/?=&|\\]+%40(?:[\w-]+\.)+[\w-]{2,}"#,
        ),
        code("iban", numbers::next_iban),
        code("card", numbers::next_card),
        code("phone", numbers::next_phone),
    ]
});

/// The schemes of the `Authorization` header.
const SCHEMES: [&str; 4] = ["basic", "bearer", "digest", "token"];

/// Keys that begin with their provider's sign.
const API_KEYS: &str = concat!(
    start!(),
    r")(?:",
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
            apply(&mut redacted, regex, kind);
        }
        for rule in RULES.iter() {
            match &rule.find {
                Find::Pattern(regex) => apply(&mut redacted, regex, rule.kind),
                Find::Code(next) => replace(&mut redacted, *next, rule.kind),
            }
        }
        redacted
    }

    fn redact_field<'a>(&self, field: &str, text: &'a str) -> Cow<'a, str> {
        if secrets::is_secret(field) && !text.is_empty() { "[redacted:field]".into() } else { self.redact(text) }
    }
}

/// Replaces what a pattern matches, but for the scheme of a header whose credentials are redacted already.
fn apply(text: &mut Cow<'_, str>, regex: &Regex, kind: &str) {
    let replacement = |found: &Captures<'_>| {
        let whole = found.get_match();
        let is_scheme = || SCHEMES.iter().any(|scheme| whole.as_str().to_ascii_lowercase().ends_with(scheme));
        if text[whole.end()..].starts_with(" [redacted:") && is_scheme() {
            whole.as_str().to_owned()
        } else {
            marked(found, kind)
        }
    };
    if let Cow::Owned(replaced) = regex.replace_all(text, replacement) {
        *text = Cow::Owned(replaced);
    }
}

/// Replaces what code finds.
fn replace(text: &mut Cow<'_, str>, next: fn(&str, usize) -> Option<Range<usize>>, kind: &str) {
    let mut replaced = String::new();
    let mut copied = 0;
    while let Some(found) = next(text, copied) {
        replaced.push_str(&text[copied..found.start]);
        replaced.push_str("[redacted:");
        replaced.push_str(kind);
        replaced.push(']');
        copied = found.end;
    }
    if copied > 0 {
        replaced.push_str(&text[copied..]);
        *text = Cow::Owned(replaced);
    }
}

fn marked(found: &Captures<'_>, kind: &str) -> String {
    let group = |name| found.name(name).map_or("", |group| group.as_str());
    format!("{}[redacted:{kind}]{}", group("keep"), group("keep_after"))
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
