//! Waiting on a thread that is not async.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::runtime::Handle;

struct Unpark(Thread);

/// Blocks the thread until a future is ready.
///
/// # Panics
///
/// In async code.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    // The runtime alone knows whether its thread runs a task or blocks by leave, as in `spawn_blocking`.
    if let Ok(runtime) = Handle::try_current() {
        return runtime.block_on(future);
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // Returns at once if the waker was called in between.
        thread::park();
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
