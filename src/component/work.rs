//! The future of a component's work: polled inside the component, always, and dropped there as well, since what its
//! destructors trace and ask for belongs there.
//!
//! It holds the work once, where an async function would hold a copy for each call that it is passed through.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::TryFuture;
use pin_project_lite::pin_project;

use super::{current::Current, guard::Component};

pin_project! {
    /// Work that is polled and dropped inside a component.
    pub(super) struct Work<F> {
        // None once it is over, as its destructors run then.
        #[pin]
        future: Option<F>,
        current: Current,
    }

    impl<F> PinnedDrop for Work<F> {
        fn drop(this: Pin<&mut Self>) {
            this.end();
        }
    }
}

pin_project! {
    /// Work as a component: started when it is first polled, and ended by the result that comes back.
    pub(super) struct WorkAs<F, S, E> {
        // Before the component, so that it is dropped first.
        #[pin]
        work: Work<F>,
        component: Option<Component>,
        start: Option<S>,
        end: Option<E>,
    }
}

/// Ends the work and then its component while a panic unwinds, when both still know of it.
struct Unwinding<'a, F> {
    work: Pin<&'a mut Work<F>>,
    component: &'a mut Option<Component>,
}

impl<F> Work<F> {
    pub(super) const fn new(current: Current, future: F) -> Self {
        Self { future: Some(future), current }
    }

    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.future.is_some() {
            this.current.enter(|| this.future.set(None));
        }
    }
}

impl Current {
    /// Polls a future inside the component, always, and drops it there.
    pub fn run<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        Work::new(self, future)
    }
}

impl Component {
    /// Polls work inside the component, always, and drops it there: what it starts nests below the component.
    pub fn run<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        Work::new(self.current(), work)
    }
}

impl<F, S, E> WorkAs<F, S, E> {
    /// Work as the component that `start` returns, ended by `end`.
    pub(super) const fn new(work: F, start: S, end: E) -> Self {
        Self { work: Work::new(Current::nowhere(), work), component: None, start: Some(start), end: Some(end) }
    }
}

impl<F: Future> Future for Work<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let current = this.current;
        current.enter(|| {
            let future = this.future.as_mut().as_pin_mut().expect("work is not polled once it is over");
            let output = ready!(future.poll(cx));
            this.future.set(None);
            Poll::Ready(output)
        })
    }
}

impl<F, T, E, S, End, R> Future for WorkAs<F, S, End>
where
    F: TryFuture<Ok = T, Error = E> + Future<Output = Result<T, E>>,
    S: FnOnce() -> Component,
    End: FnOnce(Component, Result<T, E>) -> R,
{
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let mut this = self.project();
        if let Some(start) = this.start.take() {
            let component = start();
            *this.work.as_mut().project().current = component.current();
            *this.component = Some(component);
        }
        let mut unwinding = Unwinding { work: this.work, component: this.component };
        let result = ready!(unwinding.work.as_mut().poll(cx));
        let component = unwinding.component.take().unwrap_or_else(Component::inert);
        let end = this.end.take().expect("work is not polled once it is over");
        Poll::Ready(end(component, result))
    }
}

impl<F> Drop for Unwinding<'_, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.work.as_mut().end();
            drop(self.component.take());
        }
    }
}
