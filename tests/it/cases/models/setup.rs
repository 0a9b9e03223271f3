//! Set-up that cannot work.

use agent_runtime::prelude::*;

use super::notation::{reply, text};
use super::{Case, check};
use crate::support::{HttpReply, tool};

#[tokio::test]
async fn what_cannot_work_is_an_error_that_says_what_was_asked() {
    let page =
        || HttpReply::status(404).with_header("content-type", "text/html").then("<h1>404 Not Found</h1><hr>nginx");
    check([
        Case::replying("M68", vec![page()])
            .at("")
            .fails("not_found", "/chat/completions answered 404")
            .also(|done| assert!(super::told(done.error.as_ref().expect("it fails")).contains("is `/v1` missing"))),
        Case::replying("M68, with a version", vec![page()])
            .fails("not_found", "/v1/chat/completions answered 404")
            .also(|done| assert!(!super::told(done.error.as_ref().expect("it fails")).contains("missing"))),
        Case::new("M69", text("Yes."))
            .agent(|agent| agent.with_tool(tool("files.read", |_, _| async { Ok(json!(1)) })))
            .fails("invalid_name", "files.read")
            .asks(0),
        Case::new("M69, too long", text("Yes."))
            .agent(|agent| agent.with_tool(tool(&"n".repeat(65), |_, _| async { Ok(json!(1)) })))
            .fails("invalid_name", "64")
            .asks(0),
        Case::new("M69, twice", text("Yes."))
            .agent(|agent| agent.with_tool(tool("look", |_, _| async { Ok(json!(1)) })))
            .fails("invalid_name", "no other tool")
            .asks(0),
        Case::new("M69, without parameters", text("Yes."))
            .agent(|agent| agent.with_tool(FnTool::new("bare", "", JsonValue::Null, |_, _| async { Ok(json!(1)) })))
            .answers("Yes.")
            .also(|done| {
                let tools = done.requests[0].body["tools"].as_array().expect("there are tools");
                assert!(tools.iter().all(|tool| tool["function"]["parameters"]["type"] == "object"), "{tools:?}");
            }),
        Case::new("M70", text("Yes."))
            .at("/v1beta/openai/")
            .answers("Yes.")
            .also(|done| assert_eq!(done.requests[0].target, "POST /v1beta/openai/chat/completions")),
        Case::replying("M71", vec![reply(text("Yes."))])
            .client(|client| {
                let key = ("api-key".parse().expect("a name"), "hush-hush".parse().expect("a value"));
                let http = reqwest::Client::builder().no_proxy().default_headers([key].into_iter().collect());
                client.with_http_client(http.build().expect("a client"))
            })
            .answers("Yes.")
            .also(|done| assert_eq!(done.requests[0].headers["api-key"], "hush-hush")),
        Case::new("M71, by a setting", text("Yes."))
            .client(|client| client.with_header("api-key", "hush-hush").with_query("tier", "slow"))
            .answers("Yes.")
            .also(|done| {
                assert_eq!(done.requests[0].headers["api-key"], "hush-hush");
                assert_eq!(done.requests[0].target, "POST /v1/chat/completions?tier=slow");
            }),
    ])
    .await;
}
