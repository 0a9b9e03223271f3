//! C61: the content of open components is bounded in bytes, whoever keeps it; what has no room is marked and counted.

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy, MAX_OPEN_CONTENT_BYTES},
    prelude::*,
};

use crate::content::{Export, log_attribute, text};

/// The text of one question.
const QUESTION_BYTES: usize = 1024 * 1024;

/// More questions than there is room for.
const QUESTIONS: usize = MAX_OPEN_CONTENT_BYTES / QUESTION_BYTES + 8;

fn id(number: usize) -> String {
    format!("a:llm:{number}")
}

/// Exports as many long questions at once as there is no room for, and another one when they have been answered.
fn export(capture: ContentCapture) -> Export {
    let policy = ContentPolicy::default().with_capture(capture).with_max_bytes(2 * QUESTION_BYTES);
    let export = Export::with(policy);
    // One value that all events share.
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": "q".repeat(QUESTION_BYTES)}]});
    let asked = EventData::from(asked);
    let start = |number| drop(export.append(Event::llm_started(id(number), None, None, asked.clone())));
    let end = |number| drop(export.append(Event::llm_completed(id(number), None, None, json!({"response": "a"}))));
    (0..QUESTIONS).for_each(start);
    (0..QUESTIONS).for_each(end);
    start(QUESTIONS);
    end(QUESTIONS);
    export
}

/// Checks who has a question: the first ones and the last one, and that the others say that it is missing.
#[track_caller]
fn check(is_whole: &[bool], is_marked: &[bool], counted: u64) {
    let room = is_whole.iter().take_while(|whole| **whole).count();
    assert!((QUESTIONS - 16..QUESTIONS).contains(&room), "{is_whole:?}");
    assert_eq!(is_whole.len(), QUESTIONS + 1);
    assert!(is_whole[room..QUESTIONS].iter().all(|whole| !whole) && is_whole[QUESTIONS], "{is_whole:?}");
    assert!(is_whole.iter().zip(is_marked).all(|(whole, marked)| whole != marked), "{is_marked:?}");
    assert_eq!(counted, (QUESTIONS - room) as u64);
}

#[test]
fn open_requests_of_log_events_keep_no_more_than_the_bound() {
    let export = export(ContentCapture::EventOnly);
    let has = |name| export.logs().iter().map(|log| log_attribute(log, name).is_some()).collect::<Vec<_>>();
    let marked = has("agent_runtime.content.truncated");
    check(&has("gen_ai.input.messages"), &marked, export.emitter.requests_without_content());
    assert!(has("gen_ai.request.model").iter().all(|has| *has) && has("gen_ai.output.messages").iter().all(|has| *has));
}

#[test]
fn open_spans_keep_no_more_content_than_the_bound() {
    let export = export(ContentCapture::SpanOnly);
    let spans = export.spans();
    let has = |name| spans.iter().map(|span| text(span, name).is_some()).collect::<Vec<_>>();
    let marked = has("agent_runtime.content.truncated");
    check(&has("gen_ai.input.messages"), &marked, export.mapper.spans_without_content());
    assert!(has("gen_ai.output.messages").iter().all(|has| *has));
}

#[test]
fn the_pieces_of_answers_count_too() {
    for (capture, on_spans) in [(ContentCapture::SpanOnly, true), (ContentCapture::EventOnly, false)] {
        let export = Export::with(ContentPolicy::default().with_capture(capture).with_max_bytes(QUESTION_BYTES));
        let piece = EventData::chunk("p".repeat(2 * QUESTION_BYTES));
        let count = MAX_OPEN_CONTENT_BYTES / (2 * QUESTION_BYTES) + 2;
        for number in 0..count {
            export.append(Event::llm_started(id(number), None, None, json!({})));
            export.append(Event::llm_progress(id(number), None, None, None, piece.clone()));
        }
        (0..count).for_each(|number| {
            drop(export.append(Event::llm_failed(id(number), "gone", None, None, json!({}))));
        });
        let counted =
            if on_spans { export.mapper.spans_without_content() } else { export.emitter.requests_without_content() };
        assert!((2..=3).contains(&counted), "{counted}");
        let cut = export.exported().matches("\u{2026} [truncated]").count();
        assert!(cut >= count, "{cut}");
    }
}
