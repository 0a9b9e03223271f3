//! A connection on a thread of its own, so that no task waits for a disk.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use agent_runtime::store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The thread, for as long as it is held.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Begins a thread that does one job after the other with a connection.
    pub(super) fn begin(name: &str, mut connection: Connection) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in waiting {
                // A job whose panic is caught answers nobody; the next one has the connection as it is, out of any transaction.
                drop(catch_unwind(AssertUnwindSafe(|| job(&mut connection))));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does a job and waits for it. Dropped, it is done all the same.
    pub(super) async fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            // Whoever asked may be gone.
            drop(answer.send(job(connection)));
        });
        let gone = |error: &dyn std::fmt::Display| {
            StoreError::unavailable("the thread of the store is gone", error.to_string())
        };
        self.jobs.send(job).map_err(|error| gone(&error))?;
        answered.await.map_err(|error| gone(&error))?
    }
}
