//! Whole histories of processes that write one store, each from a seed: some die, some stop for a while, the store is away,
//! answers late or loses its answers, and the clocks of the machines differ. What was acknowledged is held against what is stored.
//!
//! `AGENT_RUNTIME_SEEDS=0..10000 cargo test --all-features --test it store::simulation` runs as many as it says.

mod faulty;
mod life;
mod world;

use std::{env, ops::Range};

use world::World;

/// The seeds that every run of the tests tries.
const SEEDS: Range<u64> = 0..200;

fn seeds() -> Range<u64> {
    let Ok(text) = env::var("AGENT_RUNTIME_SEEDS") else { return SEEDS };
    let range = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    let one = || text.parse().ok().map(|seed| seed..seed + 1);
    range
        .or_else(one)
        .unwrap_or_else(|| panic!("AGENT_RUNTIME_SEEDS is a seed or a range such as 0..10000, not {text:?}"))
}

#[test]
fn whatever_becomes_of_processes_and_store_nothing_acknowledged_is_lost_and_every_component_ends_once() {
    let mut seen = world::Seen::default();
    for seed in seeds() {
        let (faults, of_seed) = World::of(seed).run();
        let again = format!("AGENT_RUNTIME_SEEDS={seed} cargo test --all-features --test it store::simulation");
        assert!(faults.is_empty(), "{again}\n{}", faults.join("\n"));
        seen += of_seed;
    }
    if seeds() == SEEDS {
        seen.assert_all_happened();
    }
    println!("{seen:?}");
}
