//! The form of a component's id, one rule for each scope.

use std::borrow::Cow;

use super::{EventError, EventScope};

/// The longest name that is made of another text: it leaves room for what ids put behind a name, however high they count.
const MAX_MADE_NAME_BYTES: usize = 200;

/// Marks a name that was cut.
const CUT: char = '…';

/// The name of what has none.
const UNNAMED: &str = "unnamed";

/// The rule of a scope, as an error shows it.
const fn rule(scope: EventScope) -> &'static str {
    match scope {
        EventScope::Workflow | EventScope::Agent => "`name`, not empty",
        EventScope::WorkflowStep => "`workflow:step:N`, N a number from 0",
        EventScope::LlmRequest => "`agent:llm:N`, N a number from 0",
        EventScope::Tool => "`tool` or `tool:N`",
        EventScope::System => "`system:subsystem`",
    }
}

/// Checks an id against the rule of its scope.
///
/// Names may hold `:` and any script; what is refused is an empty part, a control character, space at either end and
/// more than [`EventScope::MAX_COMPONENT_ID_BYTES`].
pub(crate) fn check(scope: EventScope, id: &str) -> Result<(), EventError> {
    let follows_rule = match scope {
        EventScope::Workflow | EventScope::Agent | EventScope::Tool => true,
        EventScope::WorkflowStep => numbered(id, ":step:").is_some(),
        EventScope::LlmRequest => numbered(id, ":llm:").is_some(),
        EventScope::System => id.starts_with("system:"),
    };
    if id.len() <= EventScope::MAX_COMPONENT_ID_BYTES && is_well_formed(id) && follows_rule {
        Ok(())
    } else {
        Err(EventError::ComponentId { scope, id: id.to_owned(), rule: rule(scope) })
    }
}

/// Checks the id of a run: any text of few bytes without control characters, space at an end or nothing in it.
pub(super) fn check_workflow(id: &str) -> Result<(), EventError> {
    if is_label(id, EventScope::MAX_WORKFLOW_ID_BYTES) {
        Ok(())
    } else {
        Err(EventError::WorkflowId { id: id.to_owned() })
    }
}

/// Checks a tag of a run, by the rule of its id.
pub(crate) fn check_tag(tag: &str) -> Result<(), EventError> {
    if is_label(tag, EventScope::MAX_TAG_BYTES) { Ok(()) } else { Err(EventError::Tag { tag: tag.to_owned() }) }
}

fn is_label(text: &str, max_bytes: usize) -> bool {
    // Each event comes through here, too, and nearly all ids are plain.
    let is_plain = !text.bytes().fold(false, |is_odd, byte| is_odd | !byte.is_ascii_graphic());
    !text.is_empty() && text.len() <= max_bytes && (is_plain || text.trim() == text && !text.contains(char::is_control))
}

/// Checks that a name also leaves room for the number that is put behind it, however high that gets.
pub(crate) fn check_numbered(scope: EventScope, name: &str) -> Result<(), EventError> {
    check(scope, &format!("{name}:{}", u64::MAX))
}

/// Makes a name that can be an id, or a part of one, in every scope, of any text: work must not fail for its name.
///
/// A valid one stays as it is. In any other, control characters count as space, each part between colons loses the space
/// around it, parts that are empty then are left out, and what is too long is cut. Nothing at all becomes `unnamed`.
pub(crate) fn name_of(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_MADE_NAME_BYTES && is_well_formed(text) {
        return Cow::Borrowed(text);
    }
    let is_padding = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    let text = text.trim_start_matches(is_padding);
    let start = &text[..text.floor_char_boundary(MAX_MADE_NAME_BYTES)];
    let start = start.replace(char::is_control, " ");
    let parts: Vec<_> = start.split(':').map(str::trim).filter(|part| !part.is_empty()).collect();
    let mut name = parts.join(":");
    if name.is_empty() {
        return Cow::Borrowed(UNNAMED);
    }
    if start.len() < text.len() {
        name.truncate(name.floor_char_boundary(MAX_MADE_NAME_BYTES - CUT.len_utf8()));
        name.truncate(name.trim_end_matches(is_padding).len());
        name.push(CUT);
    }
    Cow::Owned(name)
}

/// Checks that no part between colons is empty or has space at an end, and that there is no control character.
///
/// Each event comes through here, so nearly all ids, which are ASCII without space, take one short pass over their bytes.
fn is_well_formed(id: &str) -> bool {
    let (mut seen, mut doubled, mut before) = (0, 0, class::COLON);
    for byte in id.bytes() {
        let class = class::OF[usize::from(byte)];
        seen |= class;
        doubled |= class & before;
        before = class;
    }
    if seen & class::OTHER == 0 { (doubled | before) & class::COLON == 0 } else { is_well_formed_by_char(id) }
}

fn is_well_formed_by_char(id: &str) -> bool {
    let mut before = ':';
    for c in id.chars() {
        let is_empty_part_or_padded = match (before, c) {
            (':', c) => c == ':' || c.is_whitespace(),
            (before, ':') => before.is_whitespace(),
            _ => false,
        };
        if is_empty_part_or_padded || c.is_control() {
            return false;
        }
        before = c;
    }
    before != ':' && !before.is_whitespace()
}

/// What a byte of an id may be.
mod class {
    pub(super) const COLON: u8 = 1;
    /// A space, a control character or a part of a character beyond ASCII.
    pub(super) const OTHER: u8 = 2;

    pub(super) const OF: [u8; 256] = {
        let mut of = [0; 256];
        let mut byte = 0;
        while byte < of.len() {
            of[byte] = if (byte as u8).is_ascii_graphic() { 0 } else { OTHER };
            byte += 1;
        }
        of[b':' as usize] = COLON;
        of
    };
}

/// Splits an id into the component's name and its number.
pub(super) fn split(scope: EventScope, id: &str) -> (&str, Option<u64>) {
    let numbered = match scope {
        EventScope::Workflow | EventScope::Agent => None,
        EventScope::WorkflowStep => numbered(id, ":step:"),
        EventScope::LlmRequest => numbered(id, ":llm:"),
        EventScope::Tool => numbered(id, ":"),
        EventScope::System => return (id.strip_prefix("system:").unwrap_or(id), None),
    };
    numbered.map_or((id, None), |(name, number)| (name, Some(number)))
}

/// Splits `name` + `separator` + number from the right, so that a name may itself hold the separator.
#[inline]
fn numbered<'a>(id: &'a str, separator: &str) -> Option<(&'a str, u64)> {
    let (bytes, separator) = (id.as_bytes(), separator.as_bytes());
    let start = bytes.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let name = start.checked_sub(separator.len()).filter(|name| *name > 0 && bytes[*name..start] == *separator)?;
    let push = |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let digits = Some(&bytes[start..]).filter(|digits| !digits.is_empty())?;
    Some((&id[..name], digits.iter().try_fold(0, push)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_rule_of_their_scope() {
        use EventScope::{Agent, LlmRequest, System, Tool, Workflow, WorkflowStep};
        let good = [
            (Workflow, "data_pipeline"),
            (Workflow, "Prüfung 数据"),
            (WorkflowStep, "pipeline:step:0"),
            (WorkflowStep, "a:step:b:step:12"),
            (Agent, "researcher"),
            (Agent, "team:lead"),
            (Agent, "team lead"),
            (LlmRequest, "researcher:llm:0"),
            (LlmRequest, "team:llm:lead:llm:7"),
            (Tool, "calculator"),
            (Tool, "calculator:3"),
            (Tool, "web_scraper:batch_1"),
            (System, "system:tool_loop_detection"),
        ];
        for (scope, id) in good {
            assert!(check(scope, id).is_ok(), "{scope} {id:?} should pass");
        }
        let bad = [
            (Workflow, ""),
            (Workflow, " padded "),
            (Workflow, "a\nb"),
            (Workflow, "a\u{85}b"),
            (Agent, "a :b"),
            (Agent, "a: b"),
            (Agent, "a::b"),
            (Agent, "\u{a0}a"),
            (Agent, "a\u{3000}"),
            (WorkflowStep, "pipeline"),
            (WorkflowStep, "pipeline:step:"),
            (WorkflowStep, "pipeline:step:x"),
            (WorkflowStep, "pipeline:step:-1"),
            (WorkflowStep, ":step:1"),
            (LlmRequest, "llm"),
            (LlmRequest, "researcher:llm"),
            (LlmRequest, "researcher:0"),
            (LlmRequest, "researcher:llm:99999999999999999999999"),
            (Tool, "calculator:"),
            (Tool, ":0"),
            (System, "tool_loop"),
            (System, "system:"),
        ];
        for (scope, id) in bad {
            let error = check(scope, id).expect_err(id);
            let text = error.to_string();
            assert!(text.contains(&format!("{id:?}")) && text.contains(rule(scope)), "{text}");
        }
        assert!(check(Tool, &"x".repeat(EventScope::MAX_COMPONENT_ID_BYTES)).is_ok());
        assert!(check(Tool, &"x".repeat(EventScope::MAX_COMPONENT_ID_BYTES + 1)).is_err());
    }

    #[test]
    fn any_text_makes_a_name() {
        let made = |text: &str, expected: &str| {
            let name = name_of(text);
            assert_eq!(name, expected, "{text:?}");
            assert!(check(EventScope::Agent, &name).is_ok() && check_numbered(EventScope::Tool, &name).is_ok());
            assert!(check(EventScope::WorkflowStep, &format!("{name}:step:{}", u64::MAX)).is_ok(), "{name:?}");
            assert_eq!(name_of(&name), name, "it stays as it is");
        };
        made("search", "search");
        made("web search", "web search");
        made("My Agent/2", "My Agent/2");
        made("团队:lead", "团队:lead");
        made("🦀\u{200d}", "🦀\u{200d}");
        made("", "unnamed");
        made(" \t\n", "unnamed");
        made("::", "unnamed");
        made("crate::tool", "crate:tool");
        made(" a : b\u{a0}", "a:b");
        made("a\nb\0c", "a b c");
        made(":\u{85}: x", "x");
        let cut = |letter: char, kept: usize| format!("{}…", letter.to_string().repeat(kept));
        made(&"x".repeat(10_000), &cut('x', 197));
        made(&"ü".repeat(10_000), &cut('ü', 98));
        made(&format!("{}:{}", "y".repeat(197), "z".repeat(300)), &cut('y', 197));
        made(&format!("{}x", " ".repeat(10_000)), "x");
        made(&format!("x{}", " ".repeat(10_000)), "x…");
    }

    /// A text of what ids are made of and what they must not hold.
    fn random_text(random: &mut rand::rngs::StdRng) -> String {
        use rand::RngExt as _;
        let pieces =
            ["a", "7", "42", ":", "::", ":llm:", ":step:", " ", "\u{a0}", "\t", "\u{85}", "ü", "数", "🦀", "system:"];
        (0..random.random_range(0..6)).map(|_| pieces[random.random_range(0..pieces.len())]).collect()
    }

    #[test]
    fn random_names_make_ids_that_split_into_them_again() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        for _ in 0..100_000 {
            let name = random_text(&mut random);
            let is_valid = |part: &str| !part.is_empty() && part.trim() == part;
            let expected = name.split(':').all(is_valid) && !name.contains(char::is_control);
            assert_eq!(is_well_formed(&name), expected, "{name:?}");
            assert_eq!(check(EventScope::Agent, &name).is_ok(), expected, "{name:?}");
            let number = random.random::<u64>() >> random.random_range(0..64);
            for (scope, separator) in
                [(EventScope::WorkflowStep, ":step:"), (EventScope::LlmRequest, ":llm:"), (EventScope::Tool, ":")]
            {
                let id = format!("{name}{separator}{number}");
                assert_eq!(check(scope, &id).is_ok(), expected, "{id:?}");
                if expected {
                    assert_eq!(split(scope, &id), (name.as_str(), Some(number)));
                }
            }
            let made = name_of(&name);
            assert!(check(EventScope::Agent, &made).is_ok() && check_numbered(EventScope::Tool, &made).is_ok());
            assert_eq!((made == name, name_of(&made)), (expected, made.clone()));
        }
    }

    #[test]
    fn split_reads_from_the_right() {
        assert_eq!(split(EventScope::LlmRequest, "a:llm:b:llm:7"), ("a:llm:b", Some(7)));
        assert_eq!(split(EventScope::Tool, "mcp:search:2"), ("mcp:search", Some(2)));
        assert_eq!(split(EventScope::Tool, "web_scraper:batch_1"), ("web_scraper:batch_1", None));
        assert_eq!(split(EventScope::Agent, "agent:7"), ("agent:7", None));
        assert_eq!(split(EventScope::System, "system:tool_loop"), ("tool_loop", None));
    }
}
