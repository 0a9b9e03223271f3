//! Waiting for what is stored next, by whichever process.

use std::time::Duration;

use agent_runtime::store::{Cursor, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{read::has_more, session::Link};

/// How long nothing has to be heard before a follower looks all the same: only if the server has lost what it was to say.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// How long a follower waits before it tries to connect again.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until there is an event behind a cursor, for longer than a server that is away only if it comes back within a limit.
pub(super) async fn changed(
    reader: &Link,
    mut heard: watch::Receiver<u64>,
    since: Cursor,
    limit: Duration,
) -> Result<(), StoreError> {
    let mut away_since = None;
    loop {
        // What is stored after the look is not slept through: it is heard since before.
        heard.mark_unchanged();
        match look(reader, since, limit).await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                away_since = None;
                timeout(LOOK_INTERVAL, heard.changed()).await.ok();
            }
            Err(error) if error.is_retryable() => {
                if away_since.get_or_insert_with(Instant::now).elapsed() >= limit {
                    return Err(error);
                }
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn look(reader: &Link, since: Cursor, limit: Duration) -> Result<bool, StoreError> {
    let mut session = reader.session().await?;
    let done = timeout(limit, has_more(session.client(), since)).await;
    session.settle("looking for new events", done)
}
