//! Run `cargo run --example resumed_job` to see a worker killed in the middle of a job and another one take the job up: what was
//! done is neither done nor reported again, the rest has the ids that it had, and both lives are one run. No server, no key.
//!
//! With `OTEL_EXPORTER_OTLP_ENDPOINT` set all of it is one trace there, inside that of `TRACEPARENT` if that is set too.
//! `cargo run --example resumed_job http://127.0.0.1:3000` also asks `cargo run --example service`, which goes on in that trace.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::{
    collections::HashMap,
    env,
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{self, Command, Stdio},
};

use agent_runtime::{
    component::{self, RunOptions, Seed, trace_headers},
    otel::{Telemetry, context_from_env, pass_context_to},
    prelude::*,
};
use anyhow::{Context as _, bail};
use opentelemetry::trace::FutureExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin},
    task::spawn_blocking,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let telemetry = Telemetry::builder("resumed_job").with_otlp_if_endpoint_set().build()?.install()?;
    let arguments: Vec<_> = env::args().skip(1).collect();
    let result = match &arguments[..] {
        [role, journal, service @ ..] if role == "work" => {
            let journal = Journal::open(Path::new(journal), telemetry.clone())?;
            work(&journal, service.first()).with_context(context_from_env()).await
        }
        service => queue(service.first()).with_context(context_from_env()).await,
    };
    if let Err(lost) = spawn_blocking(move || telemetry.shutdown()).await? {
        println!("{lost}");
    }
    result
}

/// The queue: hands the job to a worker, and to another one if that dies.
async fn queue(service: Option<&String>) -> anyhow::Result<()> {
    let journal = env::temp_dir().join(format!("resumed_job-{}.jsonl", process::id()));
    let workers = async {
        for number in 1..=2 {
            match component::tool("worker").run(worker(number, &journal, service)).await {
                Ok(()) => return Ok(()),
                Err(error) => println!("worker {number}: {error}"),
            }
        }
        bail!("no worker did the job")
    };
    let result = component::workflow(&EventStream::new(), "queue").run(workers).await;
    fs::remove_file(journal)?;
    result
}

/// A worker in a process of its own, which goes on in the trace of this one. The first is killed when it asks for approval.
async fn worker(number: u32, journal: &Path, service: Option<&String>) -> anyhow::Result<()> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("work").arg(journal).args(service).stdin(Stdio::piped()).stdout(Stdio::piped());
    pass_context_to(&mut command);
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut approval = child.stdin.take().context("it is piped")?;
    let mut lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
    while let Some(line) = lines.next_line().await? {
        println!("worker {number}: {line}");
        if line.starts_with("charge_card begins") {
            if number == 1 {
                child.kill().await?;
                bail!("killed");
            }
            approval.write_all(b"approved\n").await?;
        }
    }
    if !child.wait().await?.success() {
        bail!("ended badly");
    }
    Ok(())
}

/// The job. Every worker that takes it up has the same seed, and so the same ids.
async fn work(journal: &Journal, service: Option<&String>) -> anyhow::Result<()> {
    let steps = async {
        let order = journal.step("load_order", load_order(service)).await?;
        let receipt = journal.step("charge_card", charge_card(&order)).await?;
        journal.step("send_mail", async { Ok(json!(format!("Thank you! {receipt}"))) }).await
    };
    let options = RunOptions::default().with_seed(Seed::new("order-1007", 1));
    component::workflow(&EventStream::new(), "ship_order").with_options(options).run(steps).await?;
    Ok(())
}

/// What has been done of the job, a line for each step.
struct Journal {
    done: HashMap<String, JsonValue>,
    file: File,
    telemetry: Telemetry,
}

impl Journal {
    fn open(path: &Path, telemetry: Telemetry) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        // A line that is not whole is of a step that is not done.
        let lines = fs::read_to_string(path)?;
        Ok(Self { done: lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(), file, telemetry })
    }

    /// Does a step, unless it was done before.
    async fn step(
        &self,
        name: &str,
        work: impl Future<Output = anyhow::Result<JsonValue>>,
    ) -> anyhow::Result<JsonValue> {
        if let Some(output) = self.done.get(name) {
            println!("{name} was done before");
            return Ok(output.clone());
        }
        let step = component::step(name).start()?;
        println!(
            "{name} begins{}",
            step.trace().map(|trace| format!(" as span {}", trace.span_id)).unwrap_or_default()
        );
        let output = match step.run(work).await {
            Ok(output) => output,
            Err(error) => {
                step.fail(&error);
                return Err(error);
            }
        };
        step.complete(output.clone());
        // Sent first, noted second: a death between the two repeats the step under its ids, the other way its span would be lost.
        let telemetry = self.telemetry.clone();
        if let Err(lost) = spawn_blocking(move || telemetry.flush()).await? {
            println!("{lost}");
        }
        writeln!(&self.file, "{}", json!([name, output]))?;
        self.file.sync_data()?;
        Ok(output)
    }
}

async fn load_order(service: Option<&String>) -> anyhow::Result<JsonValue> {
    let Some(service) = service else { return Ok(json!("three otters")) };
    let ask = async {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut request = http.post(format!("{service}/ask")).body("Where is order 1007?");
        for (name, value) in trace_headers() {
            request = request.header(name, value);
        }
        request.send().await?.error_for_status()?.text().await
    };
    let answer = component::tool("shop").run(ask).await?;
    Ok(json!(format!("as {} events say", answer.matches("data: ").count())))
}

/// Waits for the queue to approve.
async fn charge_card(order: &JsonValue) -> anyhow::Result<JsonValue> {
    let approval = async {
        let mut line = String::new();
        BufReader::new(stdin()).read_line(&mut line).await?;
        anyhow::Ok(json!(line.trim()))
    };
    let approval = component::tool("approval").with_arguments(json!({"order": order})).run(approval).await?;
    Ok(json!(format!("{order}: {approval}")))
}
