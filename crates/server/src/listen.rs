//! The stand-alone server.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, http::StatusCode};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutWriter;

use crate::{EventServer, Source, refusal::Refusal};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of requests and answers are buffered for a connection.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many sockets there may be beside those of streams.
const OTHER_SOCKETS: usize = 64;

/// How long it waits when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that listens. It ends when it is dropped.
#[derive(Debug)]
#[must_use = "a server that is dropped ends"]
pub struct Listening {
    server: EventServer,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened at.
    #[error("cannot listen at the address; is it in use?")]
    Bind(#[from] io::Error),
    /// Others than this machine can reach the address, and no token protects it.
    #[error(
        "{address} can be reached from other machines: set a token, or listen at a loopback address such as 127.0.0.1:4380"
    )]
    #[non_exhaustive]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
}

/// Serves a stream for ever: `serve(runtime.event_stream().clone(), "127.0.0.1:4380").await?`.
///
/// # Errors
///
/// Those of [`EventServer::listen`].
pub async fn serve(source: impl Into<Source>, address: impl ToSocketAddrs) -> Result<(), ServeError> {
    EventServer::builder(source).build().listen(address).await?.wait().await;
    Ok(())
}

impl EventServer {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// - [`ServeError::Bind`] if the address cannot be listened at.
    /// - [`ServeError::Unprotected`] if it is no loopback address and there is no token.
    ///
    /// # Panics
    ///
    /// If called outside a Tokio runtime.
    pub async fn listen(self, address: impl ToSocketAddrs) -> Result<Listening, ServeError> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() && !self.is_protected() {
            return Err(ServeError::Unprotected { address });
        }
        let (stop, stopping) = watch::channel(false);
        let accepting = Accepting { routes: self.router().fallback(nothing_here), server: self.clone(), stopping };
        let task = tokio::spawn(accepting.run(listener));
        Ok(Listening { server: self, address, stop, task })
    }
}

impl Listening {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &EventServer {
        &self.server
    }

    /// Waits until it ends, which it does not by itself.
    pub async fn wait(mut self) {
        // It has no panic of its own, and is not aborted while this is held.
        drop((&mut self.task).await);
    }

    /// Takes no more clients, sends all the end, and cuts off who has not left within
    /// [`with_shutdown_timeout`](crate::EventServerBuilder::with_shutdown_timeout). Returns whether all had left by themselves.
    pub async fn shutdown(mut self) -> bool {
        self.stop.send_replace(true);
        let have_left = self.server.shutdown().await;
        drop((&mut self.task).await);
        have_left
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that takes connections.
struct Accepting {
    routes: Router,
    server: EventServer,
    stopping: watch::Receiver<bool>,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let most = self.server.limits().connections.saturating_add(OTHER_SOCKETS);
        // Dropped at the end, which ends every connection that is left.
        let mut connections = JoinSet::new();
        let mut stopping = self.stopping.clone();
        loop {
            while connections.try_join_next().is_some() {}
            tokio::select! {
                accepted = listener.accept(), if connections.len() < most => match accepted {
                    Ok((socket, _)) => {
                        connections.spawn(self.connection(socket));
                    }
                    // Such as too many open files; the others go on meanwhile.
                    Err(error) => {
                        tracing::warn!(target: "agent_runtime::server", %error, "a connection could not be taken");
                        sleep(PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = begun(&mut stopping) => break,
            }
        }
        drop(listener);
        let left = async { while connections.join_next().await.is_some() {} };
        drop(timeout(self.server.limits().shutdown_timeout, left).await);
    }

    fn connection(&self, socket: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let service = TowerToHyperService::new(self.routes.clone());
        let mut stopping = self.stopping.clone();
        let mut io = TimeoutWriter::new(socket);
        io.set_timeout(Some(self.server.limits().send_timeout));
        async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER_BYTES);
            let mut connection = pin!(http.serve_connection(TokioIo::new(Box::pin(io)), service).with_upgrades());
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = begun(&mut stopping) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(target: "agent_runtime::server", %error, "a connection has ended");
            }
        }
    }
}

/// Waits until the end has begun, or whoever could begin it is gone.
async fn begun(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|has_begun| *has_begun).await);
}

async fn nothing_here() -> Refusal {
    let message = "there is nothing here: /openapi.json describes what there is";
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}
