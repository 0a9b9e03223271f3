//! Views of events: the same tree as the spans', sums that agree with the events, and bounds that hold.

use agent_runtime::{
    event::{ComponentStatus, Usage},
    otel::{Price, PriceTable},
    prelude::*,
    view::{Live, StatusBoard, Tree, UsageReport},
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::support::{FULL_TREE, agent_flow, calling, full_flow, history, run, tool};

/// Events of one run, each with its time in milliseconds.
fn at(events: impl IntoIterator<Item = (i64, Event)>) -> Vec<Event> {
    let at = |(millis, mut event): (i64, Event)| {
        event.timestamp = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::milliseconds(millis);
        event
    };
    events.into_iter().map(at).collect()
}

fn of_run(event: Event, run: &str) -> Event {
    event.in_workflow(Some(run.to_owned()), None)
}

fn started(scope: EventScope, id: &str) -> Event {
    Event::new(scope, EventType::Started, id, None, json!({}))
}

fn usage(input: u64, output: u64) -> JsonValue {
    json!({"usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output)}})
}

/// A request to a model from its start to its end.
fn request(id: &str, model: &str, data: JsonValue) -> [Event; 2] {
    [Event::llm_started(id, None, None, json!({ "model": model })), Event::llm_completed(id, None, None, data)]
}

#[tokio::test]
async fn the_tree_of_the_events_is_that_of_the_spans_with_a_bridge_and_without() {
    let bridged = run(&full_flow(), "go").await;
    assert_eq!(bridged.spans.tree(), FULL_TREE);
    assert_eq!(Tree::of(&bridged.events).outline(), FULL_TREE);
    let root = bridged.events[0].trace.expect("there is a bridge");
    assert!(Tree::of(&bridged.events).to_string().starts_with(&format!("trace {}\n", root.trace_id)));

    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    let tree = Tree::of(&history(&runtime).await);
    assert_eq!(tree.outline(), FULL_TREE);
    assert_eq!((tree.running().count(), tree.unmatched(), tree.dropped()), (0, 0, 0));
    assert_eq!(tree.iter().count(), FULL_TREE.lines().count());
}

/// By its ids alone the nested run would lie below the call that began last.
#[tokio::test]
async fn with_a_bridge_a_run_inside_one_of_two_tools_lies_below_that_one() {
    let runtime = Runtime::new();
    let nesting = tool("nesting", {
        let runtime = runtime.clone();
        move |args, _| {
            let runtime = runtime.clone();
            async move {
                tokio::task::yield_now().await;
                if args["nests"] == true {
                    let nested = Workflow::new("nested").build();
                    runtime.execute(&nested, json!(1)).await?;
                }
                Ok(args)
            }
        }
    });
    let calls = vec![("nesting", json!({"nests": true})), ("nesting", json!({}))];
    let recording = crate::support::Recording::new();
    let workflow = agent_flow(calling(calls, "Done."), [nesting]);
    let subscriber = recording.dispatch();
    tracing::instrument::WithSubscriber::with_subscriber(runtime.execute(&workflow, "go"), subscriber)
        .await
        .expect("the run succeeds");
    let tree = Tree::of(&history(&runtime).await);
    assert_eq!(tree.outline(), recording.spans().tree());
    assert!(tree.outline().contains("tool nesting\n        invoke_workflow nested\n"), "{}", tree.outline());
}

#[test]
fn a_tree_is_drawn_with_bars_outcomes_and_what_still_runs() {
    let events = at([
        (0, Event::workflow_started("report", None, None, json!({}))),
        (0, Event::workflow_step_started("report:step:0", None, None, json!({"step_name": "ask"}))),
        (100, Event::agent_started("writer", None, None, json!({}))),
        (100, Event::llm_started("writer:llm:0", None, None, json!({"model": "small"}))),
        (150, Event::llm_progress("writer:llm:0", None, None, None, EventData::chunk("Hi"))),
        (300, Event::llm_completed("writer:llm:0", None, None, usage(27, 4))),
        (300, Event::tool_started("search:0", None, None, json!({"tool_name": "search"}))),
        (300, Event::tool_started("fetch:0", None, None, json!({"tool_name": "fetch"}))),
        (310, Event::system_progress("system:tool_loop_detection", None, None, None, json!({}))),
        (350, Event::tool_failed("search:0", "no\nnetwork", None, None, json!({}))),
        (400, Event::tool_canceled("fetch:0", None, None, None, json!({}))),
    ]);
    let expected = "\
invoke_workflow report        ████████████████████████████████    400 ms  running
└─ workflow_step ask          ████████████████████████████████    400 ms  running
   └─ invoke_agent writer     ········████████████████████████    300 ms  running
      ├─ chat small           ········████████████████········    200 ms  ok  27 → 4 tokens
      ├─ execute_tool search  ························████····     50 ms  error: no network
      └─ execute_tool fetch   ························████████    100 ms  canceled";
    assert_eq!(Tree::of(&events).to_string(), expected);
    assert_eq!(Tree::new().to_string(), "no components");
}

#[test]
fn what_has_no_start_or_comes_twice_is_counted_and_shown_nowhere() {
    let tool = || started(EventScope::Tool, "t");
    let end = || Event::tool_completed("t", None, None, json!({}));
    let mut tree = Tree::new();
    tree.extend(&[end(), Event::tool_progress("t", None, None, None, json!({})), tool(), tool(), end()]);
    assert_eq!((tree.len(), tree.unmatched(), tree.running().count()), (2, 2, 1));
    tree.extend(&[end(), end()]);
    assert_eq!((tree.len(), tree.unmatched(), tree.running().count()), (2, 3, 0));
    let mut board = StatusBoard::new();
    board.extend(&[end(), tool(), end(), end()]);
    assert_eq!((board.unmatched(), board.runs().next().map(|run| run.completed())), (2, Some(1)));
}

#[test]
fn a_tree_drops_whole_runs_that_are_over_and_nothing_that_runs() {
    let mut tree = Tree::new();
    let all_of = |name: &str| {
        let (run, step) = (Some(name.to_owned()), format!("{name}:step:0"));
        [
            Event::workflow_started(name, run.clone(), None, json!({})),
            Event::workflow_step_started(step.clone(), run.clone(), None, json!({})),
            Event::workflow_step_completed(step, run.clone(), None, json!({})),
            Event::workflow_completed(name, run, None, json!({})),
        ]
    };
    tree.observe(&of_run(started(EventScope::Workflow, "endless"), "endless"));
    for number in 0..Tree::MAX_COMPONENTS {
        tree.extend(&all_of(&format!("run_{number}")));
    }
    let begun = 1 + 2 * Tree::MAX_COMPONENTS as u64;
    assert!(tree.len() <= Tree::MAX_COMPONENTS);
    assert_eq!(tree.len() as u64 + tree.dropped(), begun);
    assert_eq!(tree.running().map(|node| node.component_id()).collect::<Vec<_>>(), ["endless"]);
    let newest = format!("run_{}", Tree::MAX_COMPONENTS - 1);
    assert!(tree.iter().any(|(_, node)| node.component_id() == newest));
    assert_eq!(tree.unmatched(), 0);
    assert!(tree.to_string().ends_with(&format!("… and {} components that were not kept", tree.dropped())));

    let mut tree = Tree::new();
    for number in 0..=Tree::MAX_COMPONENTS {
        tree.observe(&started(EventScope::Tool, &format!("t:{number}")));
    }
    assert_eq!((tree.len(), tree.dropped()), (Tree::MAX_COMPONENTS, 1), "all run, so the newest is not kept");
}

#[test]
fn a_board_shows_each_run_and_keeps_to_its_bounds() {
    let mut board = StatusBoard::new();
    board.extend(&at([
        (0, of_run(started(EventScope::Workflow, "report"), "a")),
        (0, of_run(started(EventScope::Workflow, "check"), "b")),
        (10, of_run(Event::tool_started("t:0", None, None, json!({"tool_name": "t"})), "a")),
        (20, of_run(Event::workflow_failed("check", "no\tway", None, None, json!({})), "b")),
        (30, started(EventScope::Agent, "loner")),
    ]));
    let expected = "\
report  running  30 ms  0 completed, 0 failed, 0 canceled
  invoke_workflow report  30 ms
  execute_tool t  20 ms
check  failed  20 ms  0 completed, 1 failed, 0 canceled
  last failure: invoke_workflow check: no way
(no workflow)  running  0 ms  0 completed, 0 failed, 0 canceled
  invoke_agent loner  0 ms";
    assert_eq!(board.to_string(), expected);

    for number in 0..2 * StatusBoard::MAX_RUNS {
        let id = format!("wf_{number}");
        board.observe(&of_run(started(EventScope::Workflow, &id), &id));
        board.observe(&of_run(Event::workflow_completed(id.as_str(), None, None, json!({})), &id));
    }
    assert_eq!(board.runs().count(), StatusBoard::MAX_RUNS);
    assert_eq!(board.dropped_runs() as usize, 3 + StatusBoard::MAX_RUNS);
    let running = board.runs().filter(|run| run.status() == ComponentStatus::Running).map(|run| run.name());
    assert_eq!(
        running.collect::<Vec<_>>(),
        ["report", "(no workflow)"],
        "what runs is kept as long as others are over"
    );

    for number in 0..StatusBoard::MAX_OPEN {
        board.observe(&of_run(started(EventScope::Tool, &format!("t:{}", number + 1)), "a"));
    }
    assert_eq!(board.dropped_components(), 3);
}

#[tokio::test]
async fn usage_adds_up_by_model_and_agent_and_prices_what_has_a_price() {
    let ran = run(&full_flow(), "go").await;
    let mut report = UsageReport::new();
    report.extend(&ran.events);
    let ends = ran
        .events
        .iter()
        .filter(|event| (event.scope, event.event_type) == (EventScope::LlmRequest, EventType::Completed));
    let told = ends.map(|event| event.data.usage().expect("the script reports it"));
    let (input, output) = told
        .fold((0, 0), |(input, output), usage: Usage| (input + usage.prompt_tokens, output + usage.completion_tokens));
    let total = report.total();
    assert_eq!((total.requests(), total.input_tokens(), total.output_tokens()), (4, input, output));
    assert_eq!(
        report.agents().map(|(name, sums)| (name, sums.requests())).collect::<Vec<_>>(),
        [("checker", 1), ("worker", 2), ("writer", 1)]
    );
    assert_eq!(report.by_model("scripted"), Some(total));

    let mut report = UsageReport::new().with_prices("USD", |model, usage| match model {
        "small" => Some(usage.prompt_tokens as f64),
        "wrong" => Some(f64::NAN),
        _ => None,
    });
    let answered_by = |model: &str| {
        let mut data = usage(5, 1);
        data["response_model"] = json!(model);
        data
    };
    report.extend(&request("a:llm:0", "small", usage(7, 1)));
    report.extend(&request("a:llm:1", "large", usage(9, 1)));
    report.extend(&request("a:llm:2", "wrong", usage(9, 1)));
    report.extend(&request("a:llm:3", "small", json!({"usage": {"total_tokens": 7}})));
    report.extend(&request("a:llm:4", "large", answered_by("small")));
    report.extend(&[Event::llm_failed("b:llm:0", "timeout", None, None, json!({}))]);
    let total = report.total();
    assert_eq!((total.requests(), total.failed(), total.without_usage(), total.without_price()), (6, 1, 2, 2));
    assert_eq!((total.cost(), report.by_model("large").and_then(|sums| sums.cost())), (Some(12.0), Some(5.0)));
    assert_eq!(report.by_model("unknown").map(|sums| sums.requests()), Some(1));
    let expected = "
         requests  failed       input      output           USD
total           6       1          30           4     12.000000
large           2       0          14           2      5.000000
small           2       0           7           1      7.000000
unknown         1       1           0           0             -
wrong           1       0           9           1             -
a               5       0          30           4     12.000000
b               1       1           0           0             -";
    assert_eq!(format!("\n{report}"), expected);
}

#[test]
fn the_prices_of_the_metrics_price_a_report_too() {
    let prices = PriceTable::new("EUR").expect("a currency");
    let small = Price::per_million(2.0, 10.0).and_then(|price| price.with_cache_read(1.0)).expect("a price");
    let prices = prices.with_price("small", small);
    let mut report =
        UsageReport::new().with_prices(prices.currency().to_owned(), move |model, usage| prices.cost(model, usage));
    let cached = json!({"usage": {
        "prompt_tokens": 500_000, "completion_tokens": 100_000, "total_tokens": 600_000, "cached_tokens": 100_000,
    }});
    report.extend(&request("a:llm:0", "small", cached));
    report.extend(&request("a:llm:1", "large", usage(1, 1)));
    assert_eq!((report.total().cost(), report.total().without_price()), (Some(1.9), 1));
}

#[test]
fn usage_stays_at_the_largest_number_and_within_its_rows() {
    let mut report = UsageReport::new().with_prices("USD", |_, _| Some(f64::MAX));
    for number in 0..2 {
        report.extend(&request(&format!("a:llm:{number}"), "m", usage(u64::MAX, u64::MAX - 1)));
    }
    let total = report.total();
    assert_eq!((total.input_tokens(), total.output_tokens(), total.cost()), (u64::MAX, u64::MAX, Some(f64::MAX)));

    for number in 0..2 * UsageReport::MAX_ROWS {
        report.extend(&request(&format!("a_{number}:llm:0"), &format!("m_{number}"), usage(1, 1)));
    }
    assert_eq!(
        (report.models().count(), report.agents().count()),
        (UsageReport::MAX_ROWS + 1, UsageReport::MAX_ROWS + 1)
    );
    let others = report.by_model(UsageReport::OTHERS).expect("there are some");
    assert_eq!(others.requests() as usize, 1 + UsageReport::MAX_ROWS);
    for number in 0..=UsageReport::MAX_OPEN {
        report.observe(&Event::llm_started(format!("b:llm:{number}"), None, None, json!({"model": "m"})));
    }
    assert_eq!(report.dropped(), 1);
}

#[test]
fn lines_say_what_begins_and_how_it_ends_and_answers_do_not_mix() {
    let piece = |id: &str, text: &str| Event::llm_progress(id, None, None, None, EventData::chunk(text));
    let mut live = Live::new();
    live.extend(&[
        started(EventScope::Workflow, "report"),
        started(EventScope::WorkflowStep, "report:step:0"),
        Event::tool_started("search:0", None, None, json!({"arguments": {"q": "x"}})),
        Event::tool_progress("search:0", Some("page 1".to_owned()), None, None, json!({})),
        piece("writer:llm:0", "One \u{1b}[2J"),
        piece("editor:llm:0", "Un"),
        Event::tool_completed("search:0", None, None, json!({"result": [1]})),
        piece("editor:llm:0", "deux"),
        piece("writer:llm:0", "two"),
        Event::llm_completed("editor:llm:0", None, None, usage(1, 2)),
        piece("writer:llm:0", "."),
        Event::llm_completed("writer:llm:0", None, None, usage(3, 4)),
        Event::workflow_step_completed("report:step:0", None, None, json!({})),
        Event::workflow_canceled("report", Some("stop".to_owned()), None, None, json!({})),
    ]);
    live.add_line("… 7 events were missed");
    let expected = "\
workflow report started
  workflow_step report:step:0 started
      search:0 {\"q\":\"x\"}
      search:0: page 1
      writer says: One \u{fffd}[2J
      search:0 = [1]
      writer says: two
      editor says: Undeux
      editor:llm:0 done, 3 tokens
      writer says: .
      writer:llm:0 done, 7 tokens
report canceled: stop
… 7 events were missed
";
    assert_eq!(live.to_string(), expected);
    assert_eq!((live.take(), live.take()), (expected.to_owned(), String::new()));
    assert_eq!(live.dropped_bytes(), 0);
}

#[test]
fn text_that_nobody_takes_and_answers_that_never_end_are_bounded_and_counted() {
    let piece = |id: &str, text: &str| Event::llm_progress(id, None, None, None, EventData::chunk(text));
    let long = "é".repeat(Live::MAX_WAITING_BYTES);
    let mut live = Live::new();
    for _ in 0..40 {
        live.observe(&piece("speaker:llm:0", &long));
    }
    let said = (40 * long.len() + "      speaker says: ".len()) as u64;
    let text = live.take();
    assert!(text.len() <= Live::MAX_BYTES, "{}", text.len());
    assert_eq!(text.len() as u64 + live.dropped_bytes(), said);

    let dropped = live.dropped_bytes();
    for number in 0..=Live::MAX_WAITING {
        live.observe(&piece(&format!("waiting:llm:{number}"), &long));
    }
    let kept = (Live::MAX_WAITING * Live::MAX_WAITING_BYTES) as u64;
    let waited = ((Live::MAX_WAITING + 1) * long.len()) as u64;
    assert_eq!(live.dropped_bytes() - dropped, waited - kept);
}
