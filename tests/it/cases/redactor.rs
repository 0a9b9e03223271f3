//! C24-C31: what the ready redactor's table promises is found wherever it stands, and nothing else goes.

use agent_runtime::otel::{PatternRedactor, Redactor};

/// A sample, what stands for it, and where it stands for the whole of a row of the table.
const SAMPLES: [(&str, &str); 24] = [
    ("sk-proj-AbCdEf0123456789_xyz", "[redacted:api_key]"),
    ("sk-ant-api03-AbCdEf0123456789", "[redacted:api_key]"),
    ("AKIAIOSFODNN7EXAMPLE", "[redacted:api_key]"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[redacted:api_key]"),
    ("github_pat_11ABCDEFG0123456789_abcdefghij", "[redacted:api_key]"),
    ("glpat-abcdefghij0123456789", "[redacted:api_key]"),
    ("xoxb-123456789012-abcdef", "[redacted:api_key]"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[redacted:api_key]"),
    ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "[redacted:api_key]"),
    ("hf_abcdefghij0123456789", "[redacted:api_key]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", "[redacted:token]"),
    ("AT611904300234573201", "[redacted:iban]"),
    ("AT61 1904 3002 3457 3201", "[redacted:iban]"),
    ("ES9121000418450200051332", "[redacted:iban]"),
    ("SE4550000000058398257466", "[redacted:iban]"),
    ("DE89 3704 0044 0532 0130 00", "[redacted:iban]"),
    ("GB29NWBK60161331926819", "[redacted:iban]"),
    ("de89370400440532013000", "[redacted:iban]"),
    ("4111 1111 1111 1111", "[redacted:card]"),
    ("5500-0000-0000-0004", "[redacted:card]"),
    ("4111111111111111", "[redacted:card]"),
    ("3782 822463 10005", "[redacted:card]"),
    ("+49 170 1234567", "[redacted:phone]"),
    ("(555) 123-4567", "[redacted:phone]"),
];

/// What a sample may stand in; `@` is its place.
const SURROUNDINGS: [&str; 30] = [
    "@",
    "pay @ EUR 500",
    "@ BANK",
    "AUSTRIA @",
    "valid to 2027 @",
    "@ 2027 ",
    "17, @, 23",
    "17;@;23",
    "(@)",
    "<@>",
    "[@]",
    "\"@\"",
    "'@'",
    "`@`",
    "b\"@\"",
    "“@”",
    "it is @.",
    "is it @?",
    "x: @\ny: 2",
    "one\ttwo\t@\tthree",
    "{\"a\": \"@\"}",
    "{\"a\":[1,\"@\",2]}",
    "\"{\\\"a\\\": \\\"@\\\"}\"",
    "{\"body\":\"{\\\"a\\\":\\\"@\\\"}\"}",
    "{\"a\":\"{\\\"b\\\":\\\"{\\\\\\\"c\\\\\\\":\\\\\\\"@\\\\\\\"}\\\"}\"}",
    "first\\n@\\nlast",
    "first\\r\\n@\\tlast",
    "番号は@です",
    "k=@&n=1",
    "|@|",
];

#[test]
fn a_sample_is_found_in_all_surroundings_and_they_stay() {
    let redactor = PatternRedactor::new();
    for (sample, marker) in SAMPLES {
        for surroundings in SURROUNDINGS {
            // A phone number may go on in the digits behind it.
            if marker == "[redacted:phone]" && surroundings.contains("@ 2027") {
                continue;
            }
            let text = surroundings.replace('@', sample);
            let redacted = redactor.redact(&text).into_owned();
            assert_eq!(redacted, surroundings.replace('@', marker), "{text}");
            assert_eq!(redactor.redact(&redacted), redacted, "a second time: {text}");
        }
    }
}

#[test]
fn two_samples_are_both_found_whatever_they_are() {
    let redactor = PatternRedactor::new();
    for (first, first_marker) in SAMPLES {
        for (second, second_marker) in SAMPLES {
            for between in [", ", " and ", "\n", "\" \"", "; "] {
                let text = [first, between, second].concat();
                assert_eq!(redactor.redact(&text), [first_marker, between, second_marker].concat(), "{text}");
            }
        }
    }
}

#[test]
fn the_rows() {
    let redactor = PatternRedactor::new();
    for (id, text, expected) in [
        ("C24", "pay AT611904300234573201 EUR 500", "pay [redacted:iban] EUR 500"),
        ("C24", "ES91 2100 0418 4502 0005 1332 EUR", "[redacted:iban] EUR"),
        ("C25", "SE4550000000058398257466 BANK", "[redacted:iban] BANK"),
        ("C26", "valid to 2027 4111 1111 1111 1111", "valid to 2027 [redacted:card]"),
        ("C27", r#""{\"password\": \"hunter2\"}""#, r#""{\"password\": \"[redacted:credentials]\"}""#),
        ("C27", r#"{"body":"{\"password\":\"hunter2\"}"}"#, r#"{"body":"{\"password\":\"[redacted:credentials]\"}"}"#),
        (
            "C27: three deep",
            r#"{"a":"{\"b\":\"{\\\"api_key\\\":\\\"hunter2\\\"}\"}"}"#,
            r#"{"a":"{\"b\":\"{\\\"api_key\\\":\\\"[redacted:credentials]\\\"}\"}"}"#,
        ),
        (
            "C27: authorization",
            r#"{\"authorization\": \"Bearer hunter2\"}"#,
            r#"{\"authorization\": \"Bearer [redacted:credentials]\"}"#,
        ),
        ("C28", r#"{"password": "correct horse battery"}"#, r#"{"password": "[redacted:credentials]"}"#),
        (
            "C28: with a quote inside",
            r#"{"password": "a \"b\" c", "n": 1}"#,
            r#"{"password": "[redacted:credentials]", "n": 1}"#,
        ),
        (
            "C28: with a backslash at its end",
            r#"{"password": "a\\", "n": 1}"#,
            r#"{"password": "[redacted:credentials]", "n": 1}"#,
        ),
        ("C28: cut off", r#"{"password": "correct horse"#, r#"{"password": "[redacted:credentials]"#),
        (
            "C28: a number",
            r#"{"client_secret": 123456, "n": 1}"#,
            r#"{"client_secret": [redacted:credentials], "n": 1}"#,
        ),
        ("C28: none", r#"{"password": null, "token": true}"#, r#"{"password": null, "token": true}"#),
        ("C28: another marker", r#"{"password": "ann@example.com too"}"#, r#"{"password": "[redacted:credentials]"}"#),
        ("C29", "https://a.example/?token=0123456789abcdef", "https://a.example/?token=[redacted:credentials]"),
        ("C29: another parameter", "/x?n=1&sig=abc#top", "/x?n=1&sig=[redacted:credentials]#top"),
        ("C29", "Cookie: session=0123456789abcdef", "Cookie: [redacted:credentials]"),
        ("C29: two cookies", "Cookie: a=1; b=2\nHost: x", "Cookie: [redacted:credentials]\nHost: x"),
        ("C29: bare", "token: 0123456789abcdef", "token: [redacted:credentials]"),
        ("C29", "de89370400440532013000", "[redacted:iban]"),
        ("C30", "DE89370400440532013000 EUR", "[redacted:iban] EUR"),
        ("C30", "AUSTRIA AT611904300234573201", "AUSTRIA [redacted:iban]"),
        ("C30", "4111 1111 1111 1111 123", "[redacted:card] 123"),
        ("C30", "x-api-key: 0123456789abcdef", "x-api-key: [redacted:credentials]"),
        ("C31", "1723456789012345678 of 4111111111111112", "1723456789012345678 of 4111111111111112"),
        ("C31", "id4111111111111111", "id4111111111111111"),
        ("C31", "0.4111111111111111", "0.4111111111111111"),
        ("C31", "0198f3a2-4111-7111-8111-111111111111", "0198f3a2-4111-7111-8111-111111111111"),
        ("C31", "12345678-4111-1111-1111-111111111111", "12345678-4111-1111-1111-111111111111"),
        ("C31", "at 2026-08-03T12:34:56.789012Z, port 4318", "at 2026-08-03T12:34:56.789012Z, port 4318"),
        ("C31", "the token is required; max_tokens=4096", "the token is required; max_tokens=4096"),
    ] {
        let redacted = redactor.redact(text).into_owned();
        assert_eq!(redacted, expected, "{id}: {text}");
        assert_eq!(redactor.redact(&redacted), redacted, "{id}: a second time");
    }
}

#[test]
fn a_longer_text_takes_no_more_for_each_byte() {
    let redactor = PatternRedactor::new();
    // Texts that would be looked through again and again, were a refusal or an open quote not remembered.
    for unit in
        ["4111 1111 1111 ", "AT61 1904 ", "pwd=\"a\"b ", "\"pwd\": \"[redacted:x]y ", "+49 1 ", "\\\"", "a@", "'s "]
    {
        let text = unit.repeat((1 << 17) / unit.len());
        let redacted = redactor.redact(&text).into_owned();
        assert!(redacted.len() <= 4 * text.len(), "{unit}");
    }
}
