//! What may grow without breaking users: enums, structs with public fields and lists of all values.

use super::source::{Source, sources};

/// Enums that users match to the end, and why no variant is added before a major release.
const FINAL: [(&str, &str); 3] = [
    ("EventType", "the stages of a life, which the guide fixes"),
    ("Cursor", "engines outside this crate match where a reader begins"),
    ("ComponentStatus", "each follows from an `EventType`, but for `Pending`"),
];

/// C78, C79.
#[test]
fn public_types_can_grow() {
    let mut faults = Vec::new();
    let mut looked_at = 0;
    for source in &sources() {
        for (name, is_enum, is_open, body) in types(source) {
            looked_at += 1;
            let is_final = FINAL.iter().any(|(known, _)| *known == name);
            // An empty enum is a mark, of which there is no value.
            let is_matched = is_enum && !body.is_empty();
            let has_public_field = body.iter().any(|line| line.trim_start().starts_with("pub "));
            if !is_open && !is_final && (is_matched || has_public_field) {
                faults.push(format!("src/{}: {name} is not `#[non_exhaustive]`", source.path));
            }
            // A variant with named fields is built, and taken apart, as a struct is.
            let has_fields =
                |line: &str| is_enum && line.starts_with("    ") && !line.starts_with("     ") && line.ends_with(" {");
            for pair in body.windows(2).filter(|pair| has_fields(&pair[1])) {
                if pair[0].trim() != "#[non_exhaustive]" {
                    faults.push(format!(
                        "src/{}: variant `{}` of {name} is not `#[non_exhaustive]`",
                        source.path,
                        pair[1].trim()
                    ));
                }
            }
        }
        for line in
            source.code().lines().map(str::trim).filter(|line| line.starts_with("pub const ") && !line.contains(" fn "))
        {
            if line.split_once(": ").is_some_and(|(_, of)| of.starts_with('[')) {
                faults.push(format!("src/{}: the length of a list is part of its type: {line}", source.path));
            }
        }
    }
    assert!(looked_at > 80, "the types lie elsewhere: {looked_at}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The public types of a file: the name, whether it is an enum, whether it is marked as one that grows, and its body.
fn types(source: &Source) -> Vec<(String, bool, bool, Vec<String>)> {
    let code = source.code();
    let lines: Vec<_> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let (is_enum, rest) = match (line.strip_prefix("pub enum "), line.strip_prefix("pub struct ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => continue,
        };
        let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
        let attributes = lines[..at].iter().rev().take_while(|line| !line.is_empty() && **line != "}");
        let is_open = attributes.into_iter().any(|line| *line == "#[non_exhaustive]");
        let has_body = line.ends_with('{');
        let body = lines[at + 1..].iter().take_while(|line| has_body && **line != "}").map(|line| (*line).to_owned());
        found.push((name, is_enum, is_open, body.collect()));
    }
    found
}
