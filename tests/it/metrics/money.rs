//! What requests cost.

use agent_runtime::{
    otel::{Price, PriceTable},
    prelude::*,
};

use super::harness::{Meters, assert_close};

const COST: &str = "agent_runtime.llm.cost";
const UNPRICED: &str = "agent_runtime.llm.unpriced_requests";

#[test]
fn cost_is_usage_times_price_by_model_and_agent() {
    let meters = Meters::new(|recorder| recorder.with_prices(table()));
    let usage = json!({"prompt_tokens": 1_000, "completion_tokens": 500, "cached_tokens": 400});
    request(&meters, "writer:llm:0", json!({"model": "large"}), json!({"usage": usage}));
    request(&meters, "writer:llm:1", json!({"model": "large"}), json!({"usage": usage, "response_model": "small"}));
    request(&meters, "reader:llm:0", json!({"model": "by-rule-7"}), json!({"usage": {"completion_tokens": 10}}));
    request(&meters, "reader:llm:1", json!({"model": "free"}), json!({"usage": usage}));

    let snapshot = meters.collect();
    assert_eq!(snapshot.series(COST).unit, "USD");
    let of = |agent, model| snapshot.point(COST, &[("gen_ai.agent.name", agent), ("gen_ai.request.model", model)]).sum;
    let writer: f64 = snapshot
        .series(COST)
        .points
        .iter()
        .filter(|p| p.label("gen_ai.agent.name") == Some("writer"))
        .map(|p| p.sum)
        .sum();
    assert_close(writer, (600.0 * 10.0 + 400.0 * 1.0 + 500.0 * 30.0 + 1_000.0 * 1.0 + 500.0 * 2.0) / 1e6, "writer");
    assert_close(of("reader", "by-rule-7"), 10.0 * 5.0 / 1e6, "by rule");
    assert_close(of("reader", "free"), 0.0, "free is a price");
    assert!(!snapshot.0.contains_key(UNPRICED));
}

#[test]
fn a_request_without_a_price_is_told_and_one_without_usage_costs_nothing() {
    let meters = Meters::new(|recorder| recorder.with_prices(table()));
    request(&meters, "a:llm:0", json!({"model": "unheard-of"}), json!({"usage": {"prompt_tokens": 1}}));
    request(&meters, "a:llm:1", json!({"model": "large"}), json!({}));
    let snapshot = meters.collect();
    assert_eq!(snapshot.point(UNPRICED, &[("gen_ai.request.model", "unheard-of")]).sum, 1.0);
    assert!(!snapshot.0.contains_key(COST));
}

#[test]
fn a_price_is_found_though_the_label_has_overflowed() {
    let meters = Meters::new(|recorder| recorder.with_prices(table()).with_max_label_values(0));
    request(&meters, "a:llm:0", json!({"model": "large"}), json!({"usage": {"prompt_tokens": 1_000_000}}));
    assert_close(meters.collect().point(COST, &[("gen_ai.request.model", "_OTHER")]).sum, 10.0, "cost");
}

#[test]
fn a_failed_request_costs_what_it_used_and_without_a_table_nothing_does() {
    let meters = Meters::new(|recorder| recorder.with_prices(table()));
    let unpriced = Meters::new(|recorder| recorder);
    for meters in [&meters, &unpriced] {
        meters.recorder.observe(&Event::llm_started("a:llm:0", None, None, json!({"model": "large"})));
        let data = json!({"usage": {"prompt_tokens": 100}});
        meters.recorder.observe(&Event::llm_canceled("a:llm:0", None, None, None, data));
    }
    assert_close(meters.collect().sum(COST), 0.001, "cost");
    assert!(unpriced.collect().0.keys().all(|name| name != COST && name != UNPRICED));
}

fn table() -> PriceTable {
    let price = |input, output| Price::per_million(input, output).expect("a valid price");
    PriceTable::new("USD")
        .expect("a valid currency")
        .with_price("large", price(10.0, 30.0).with_cache_read(1.0).expect("a valid price"))
        .with_price("small", price(1.0, 2.0))
        .with_price("free", price(0.0, 0.0))
        .with_lookup(move |model| model.starts_with("by-rule-").then(|| price(3.0, 5.0)))
}

fn request(meters: &Meters, id: &str, started: JsonValue, completed: JsonValue) {
    meters.recorder.observe(&Event::llm_started(id, None, None, started));
    meters.recorder.observe(&Event::llm_completed(id, None, None, completed));
}
