//! Run `cargo run --example load`: a hundred workflows, many at once, with the failures and cancellations of production; you
//! see the spans arrive, then how the runs ended and what became of the spans.
//!
//! With `OTEL_EXPORTER_OTLP_ENDPOINT` set they are exported there, which fills Grafana's dashboard. Options, each with a value:
//! `--workflows N`, `--at-once N`, `--pause-ms N` before each workflow starts, `--events FILE` for the native events as JSON
//! lines, `--progress logs` or `both` for progress as log events. The models are scripts.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

mod scenario;

use std::{
    env,
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use agent_runtime::{
    otel::{Delivery, ProgressSignal, Telemetry},
    prelude::*,
};
use anyhow::{Context as _, bail};
use tokio::{sync::Semaphore, task::JoinSet};

/// More events than any run of this example makes before its reader has read them.
const EVENT_CAPACITY: usize = 1 << 20;
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

struct Options {
    workflows: usize,
    at_once: usize,
    pause: Duration,
    events: Option<PathBuf>,
    progress: ProgressSignal,
}

/// How the runs ended.
#[derive(Default)]
struct Ends {
    completed: usize,
    failed: usize,
    canceled: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::from_args()?;
    let telemetry = Telemetry::builder("load").with_prices(scenario::prices()?).with_progress(options.progress);
    let telemetry = telemetry.with_otlp_if_endpoint_set().build()?.install()?;

    let runtime = Runtime::with_event_stream(EventStream::builder().with_capacity(EVENT_CAPACITY).build());
    let events = runtime.event_stream().subscribe();
    let writer = options.events.clone().map(|path| tokio::spawn(write(events, path)));
    let ends = run_all(&runtime, &options, &telemetry).await?;
    drop(runtime);
    if let Some(writer) = writer {
        writer.await??;
    }
    println!("{} workflows completed, {} failed, {} canceled", ends.completed, ends.failed, ends.canceled);

    let shutdown = tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    match shutdown {
        Ok(report) if report.spans.delivery.ended == 0 => {
            println!("Set OTEL_EXPORTER_OTLP_ENDPOINT to export the traces, to Jaeger for example.");
        }
        Ok(report) => println!("all spans arrived: {}", describe(report.spans.delivery)),
        Err(lost) => {
            println!("not everything was exported: {lost}");
            println!("spans {}", describe(lost.report().spans.delivery));
        }
    }
    Ok(())
}

async fn run_all(runtime: &Runtime, options: &Options, telemetry: &Telemetry) -> anyhow::Result<Ends> {
    let slots = Arc::new(Semaphore::new(options.at_once));
    let cases = scenario::cases(runtime);
    let mut runs = JoinSet::new();
    let mut ends = Ends::default();
    let mut report = tokio::time::interval(REPORT_INTERVAL);
    let mut started = 0;
    while started < options.workflows || !runs.is_empty() {
        tokio::select! {
            slot = Arc::clone(&slots).acquire_owned(), if started < options.workflows => {
                let (slot, case, runtime) = (slot?, cases[started % cases.len()].clone(), runtime.clone());
                runs.spawn(async move {
                    let end = case.run(&runtime).await;
                    drop(slot);
                    end
                });
                started += 1;
                tokio::time::sleep(options.pause).await;
            }
            Some(end) = runs.join_next() => ends.add(end?),
            _ = report.tick() => println!("{started} started: {}", describe(telemetry.report().spans.delivery)),
        }
    }
    Ok(ends)
}

fn describe(delivery: Delivery) -> String {
    let Delivery { ended, exported, failed, .. } = delivery;
    format!("ended {ended}, exported {exported}, failed {failed}, unsent {}", delivery.unsent())
}

/// Writes the native events, one a line.
async fn write(mut events: Subscription, path: PathBuf) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    loop {
        match events.recv_shared().await {
            Ok(event) => writeln!(file, "{}", serde_json::to_string(&*event)?)?,
            Err(RecvError::Closed) => return Ok(file.flush()?),
            Err(lagged) => return Err(lagged.into()),
        }
    }
}

impl Ends {
    fn add(&mut self, end: EventType) {
        match end {
            EventType::Completed => self.completed += 1,
            EventType::Canceled => self.canceled += 1,
            EventType::Started | EventType::Progress | EventType::Failed => self.failed += 1,
        }
    }
}

impl Options {
    fn from_args() -> anyhow::Result<Self> {
        let progress = ProgressSignal::default();
        let mut options = Self { workflows: 100, at_once: 20, pause: Duration::ZERO, events: None, progress };
        let mut args = env::args().skip(1);
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} needs a value"))?;
            let number = || value.parse::<u32>().with_context(|| format!("{flag} {value}"));
            match flag.as_str() {
                "--workflows" => options.workflows = number()? as usize,
                "--at-once" => options.at_once = number()?.max(1) as usize,
                "--pause-ms" => options.pause = Duration::from_millis(number()?.into()),
                "--events" => options.events = Some(value.into()),
                "--progress" => options.progress = signal(&value)?,
                _ => bail!("unknown option {flag}"),
            }
        }
        Ok(options)
    }
}

fn signal(word: &str) -> anyhow::Result<ProgressSignal> {
    match word {
        "logs" => Ok(ProgressSignal::LogEvents),
        "both" => Ok(ProgressSignal::Both),
        _ => bail!("--progress is logs or both, not {word}"),
    }
}
