//! The arguments, as their help describes them.

use agent_runtime::{
    event::{ComponentStatus, EventScope, EventType},
    store::{Cursor, Query},
};
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::{
    prices::Price,
    times::{self, Pause},
    values::{self, From, Pace},
};

/// Shows what agents did, from the store that their events are in
#[derive(Debug, Parser)]
#[command(name = "agent-runtime", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The store: the path of an SQLite file, or `postgres://user:password@host/database`
    #[arg(long, global = true, env = "AGENT_RUNTIME_STORE", hide_env_values = true, value_name = "PATH-or-URL")]
    pub(crate) store: Option<String>,

    /// How results and errors are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all is well, also when the reader of a pipe ends early or Ctrl-C ends `--follow`;
            1 something failed or was found; 2 the arguments cannot be used.
Results go to stdout, errors and progress to stderr. Colors only on a terminal, and not with NO_COLOR.";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// JSON for programs, one value a line; errors too
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists events, and follows what comes
    Events(Events),
    /// Draws a run as a tree with a bar for when and how long each part ran
    Show(Show),
    /// Shows what is stored again, as fast as it happened or faster
    Replay(Replay),
    /// Ends what dead processes left open, as failed with the code `interrupted`
    Recover(Recover),
    /// Examines store, endpoint, clock and versions, and repairs a damaged store
    Doctor(Doctor),
    /// Writes the script that completes the arguments in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
In JSON each line is {\"position\": \"EPOCH:OFFSET\", \"event\": {…}}, the event with the fields of docs/events.md.
The position of the last line read is what the next call goes on behind: --from POSITION.")]
pub(crate) struct Events {
    /// Waits at the end for what is stored next, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,

    #[command(flatten)]
    pub(crate) filters: Filters,

    /// Begins behind a position; or at `beginning`, or at `end`
    #[arg(long, value_name = "POSITION", default_value = "beginning", value_parser = values::from)]
    pub(crate) from: From,

    /// Ends after so many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Filters {
    /// Only events of a scope; may be repeated
    #[arg(long, value_parser = values::scope())]
    pub(crate) scope: Vec<EventScope>,

    /// Only events of a type; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = values::event_type())]
    pub(crate) event_type: Vec<EventType>,

    /// Only events with a status; may be repeated
    #[arg(long, value_parser = values::status())]
    pub(crate) status: Vec<ComponentStatus>,

    /// Only events of a run and of the runs directly inside it; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Vec<String>,

    /// Only events of a component; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) component: Vec<String>,

    /// Only events from a time on: `2026-07-01T12:00:00Z`, `2026-07-01` (UTC), or how long ago: `90s`, `15m`, `2h`, `3d`
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Only events before a time
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    pub(crate) until: Option<DateTime<Utc>>,
}

impl Filters {
    /// What is wanted, of a store.
    pub(crate) fn query(&self) -> Query {
        let mut query = Query::default();
        query.filter.scopes.clone_from(&self.scope);
        query.filter.event_types.clone_from(&self.event_type);
        query.filter.statuses.clone_from(&self.status);
        query.filter.workflow_ids.clone_from(&self.workflow);
        query.filter.component_ids.clone_from(&self.component);
        (query.since, query.until) = (self.since, self.until);
        query
    }
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The run; by default the last one that began
    #[arg(value_name = "WORKFLOW_ID", conflicts_with = "last")]
    pub(crate) workflow: Option<String>,

    /// The last run that began
    #[arg(long)]
    pub(crate) last: bool,

    /// What a model costs per million tokens of input and of output; may be repeated
    #[arg(long, value_name = "MODEL=INPUT:OUTPUT", env = "AGENT_RUNTIME_PRICES", value_delimiter = ',')]
    pub(crate) price: Vec<Price>,

    /// What prices are in
    #[arg(long, value_name = "CURRENCY", default_value = "USD")]
    pub(crate) currency: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Lines for people go to stdout as in a live view, with --format json those of `events`; progress goes to stderr if that is a
terminal.

With --otlp nothing is shown, and the spans go to where the OTEL_EXPORTER_OTLP_ variables say, under the ids that they had: a
collector that has them already gets equal ones. The service is named by OTEL_SERVICE_NAME. Exit code 1 if any was refused.")]
pub(crate) struct Replay {
    /// Sends the spans of what is found to a collector, instead of showing the events
    #[arg(long, conflicts_with_all = ["speed", "max_pause"])]
    pub(crate) otlp: bool,

    /// How many times as fast as it happened: `1`, `10`, `0.5`, or `max` for without a wait
    #[arg(long, value_name = "SPEED", default_value = "max", value_parser = values::speed)]
    pub(crate) speed: Pace,

    /// The longest pause between two events, before the speed is applied; `none` for as long as it was
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = times::pause)]
    pub(crate) max_pause: Pause,

    #[command(flatten)]
    pub(crate) filters: Filters,

    /// Begins behind a position; or at `beginning`
    #[arg(long, value_name = "POSITION", default_value = "beginning", value_parser = values::cursor)]
    pub(crate) from: Cursor,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What a live process has open is left alone. Each component is ended once, also if this is called twice or by two at once.")]
pub(crate) struct Recover {
    /// Names what would be ended, and ends nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
store     does it open, is every event as it was written, who owns what, which offsets are missing, is there room
endpoint  does the collector that OTEL_EXPORTER_OTLP_ENDPOINT and its like name take spans; none are sent
clock     does it run evenly, does the file system agree, are events from the future
versions  of this program and of the stores that it knows
The code is 0 if no check is a problem, else 1; notes are no problems.")]
pub(crate) struct Doctor {
    /// Puts a store in the place of a damaged one that has all events that can be read, and names what is lost.
    /// The damaged file is kept beside it. No process may have the store open
    #[arg(long)]
    pub(crate) repair: bool,

    /// Leaves out what reads the whole store
    #[arg(long, conflicts_with = "repair")]
    pub(crate) quick: bool,
}
