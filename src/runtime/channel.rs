//! A run's events in a channel.

use tokio::{runtime::Handle, sync::mpsc};

use super::RunError;
use crate::{
    event::{Event, MissedEvents},
    stream::{EventStream, Lagged, RecvError, Subscription},
};

/// Makes a stream whose events a task moves into a channel.
pub(super) fn stream_into(events: mpsc::Sender<Event>) -> Result<EventStream, RunError> {
    let tokio = Handle::try_current().map_err(|_| RunError::NoTokioRuntime)?;
    let stream = EventStream::new();
    tokio.spawn(forward(stream.subscribe(), events));
    Ok(stream)
}

async fn forward(mut subscription: Subscription, events: mpsc::Sender<Event>) {
    loop {
        let event = match subscription.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(lagged)) => gap(&lagged),
            Err(RecvError::Closed) => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The event that stands for those that a slow receiver missed.
fn gap(lagged: &Lagged) -> Event {
    let data = MissedEvents::new(&lagged.missing());
    Event::system_progress("system:event_stream", Some(lagged.to_string()), None, None, data)
}
