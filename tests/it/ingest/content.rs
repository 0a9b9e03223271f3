//! What was asked and answered: for subscribers of the process, and outside only where the policy lets it.

use agent_runtime::{
    ingest::ingest,
    otel::{ContentCapture, ContentPolicy},
    prelude::*,
};
use tracing::info_span;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{Recording, dispatch_of, spans};

const SECRET: &str = "canary-4711";

fn work() {
    let text = |text: &str| format!(r#"[{{"role": "user", "parts": [{{"type": "text", "content": "{text}"}}]}}]"#);
    let chat = info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "small",
        gen_ai.input.messages = text(SECRET),
        gen_ai.system_instructions = format!(r#"[{{"type": "text", "content": "{SECRET}"}}]"#),
        gen_ai.output.messages = tracing::field::Empty,
    );
    chat.record("gen_ai.output.messages", text(SECRET));
    drop(chat);
    let tool = info_span!(
        "tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = "search",
        gen_ai.tool.call.arguments = format!(r#"{{"query": "{SECRET}"}}"#),
        gen_ai.tool.call.result = SECRET,
    );
    tool.in_scope(|| tracing::error!("no entry"));
    drop(info_span!(
        "agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "writer",
        gen_ai.prompt = SECRET,
        gen_ai.completion = SECRET,
    ));
    let failed = info_span!(
        "tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = "search",
        error.type = "no_entry",
        otel.status_description = format!("no entry for {SECRET}")
    );
    drop(failed);
}

#[test]
fn content_is_in_the_events_and_leaves_by_the_policy_alone() {
    for captures in [false, true] {
        let capture = if captures { ContentCapture::SpanOnly } else { ContentCapture::NoContent };
        let stream = EventStream::new();
        let recording =
            Recording::with_mapper(|mapper| mapper.with_content(ContentPolicy::default().with_capture(capture)));
        let dispatch = dispatch_of(registry().with(ingest(&stream)).with(recording.layer()));
        tracing::dispatcher::with_default(&dispatch, work);
        let mut reader = stream.subscribe_from(0);
        let events: Vec<_> = std::iter::from_fn(|| reader.try_recv().ok()).collect();
        let with_content = events.iter().filter(|event| format!("{event:?}").contains(SECRET)).count();
        assert_eq!(with_content, 7, "{events:#?}");
        let exported = spans::text(&recording.spans());
        assert_eq!(exported.contains(SECRET), captures, "{exported}");
        if captures {
            let chat = recording.spans();
            let chat = chat.one("chat small");
            let messages = spans::attribute(chat, "gen_ai.input.messages");
            let messages: JsonValue = serde_json::from_str(messages.as_str().expect("a text")).unwrap();
            let message = |role: &str| json!({"role": role, "parts": [{"type": "text", "content": SECRET}]});
            assert_eq!(messages, json!([message("system"), message("user")]));
        }
    }
}
