//! A stream that a component lives with: a model's answer, which outlives the call that opened it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, TryStream};

use super::{
    cause::{Cause, Described},
    current::Current,
    guard::Component,
    reporter::Reporter,
};

/// A stream that is polled, and dropped, inside its component.
///
/// The component completes when the stream ends, fails with the first error among its items, and is canceled if the stream
/// is dropped before that.
#[must_use = "streams do nothing unless polled"]
pub struct ComponentStream<S: TryStream> {
    /// None once it was dropped.
    stream: Option<Pin<Box<S>>>,
    /// None once it has ended.
    component: Option<Component>,
    current: Current,
    reporter: Reporter,
    describe: fn(&S::Error) -> Described,
    on_item: Option<Box<OnItem<S>>>,
}

type OnItem<S> = dyn FnMut(&Reporter, &<S as TryStream>::Ok) + Send;

impl Component {
    /// Reads a stream as the component, which lives as long as the stream is read.
    ///
    /// See [`ComponentBuilder::stream`](super::ComponentBuilder::stream), which also opens it. A stream that cannot fail
    /// is mapped by `Ok::<_, Infallible>`.
    pub fn stream<S, Kind>(self, stream: S) -> ComponentStream<S>
    where
        S: TryStream,
        S::Error: Cause<Kind>,
    {
        ComponentStream {
            stream: Some(Box::pin(stream)),
            current: self.current(),
            reporter: self.reporter(),
            component: Some(self),
            describe: <S::Error as Cause<Kind>>::describe,
            on_item: None,
        }
    }
}

impl<S: TryStream> ComponentStream<S> {
    /// Looks at each item that is no error before it is handed on, to report it: its text as a
    /// [chunk](Reporter::chunk), its tokens as [usage](Reporter::usage). By default, nothing is reported.
    pub fn on_item(mut self, look: impl FnMut(&Reporter, &S::Ok) + Send + 'static) -> Self {
        self.on_item = Some(Box::new(look));
        self
    }
}

impl<S: TryStream> Stream for ComponentStream<S> {
    type Item = Result<S::Ok, S::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, component, current, reporter, describe, on_item } = &mut *self;
        let Some(stream) = stream else { return Poll::Ready(None) };
        let polled = current.enter(|| {
            let polled = stream.as_mut().try_poll_next(cx);
            if let (Poll::Ready(Some(Ok(item))), Some(look)) = (&polled, on_item) {
                look(reporter, item);
            }
            polled
        });
        match &polled {
            Poll::Ready(None) => {
                if let Some(component) = component.take() {
                    component.complete(());
                }
            }
            Poll::Ready(Some(Err(error))) => {
                if let Some(component) = component.take() {
                    component.fail_described(describe(error));
                }
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }
}

impl<S: TryStream> Drop for ComponentStream<S> {
    fn drop(&mut self) {
        let Self { stream, current, .. } = self;
        current.enter(|| drop(stream.take()));
    }
}

impl<S: TryStream> fmt::Debug for ComponentStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentStream").field("component", &self.component).finish_non_exhaustive()
    }
}
