//! Serving HTTP/1: what a client may cost. A client that does not finish its request, or does not take its response, is cut; a request
//! has a time-out; open connections are bounded, and those that wait for a request give way.

mod connections;
mod write_timeout;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use self::connections::{AdmittedConnection, Connections, InRequest};
use self::write_timeout::WriteTimeout;

/// What a client may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// From the first byte that may come to the last of a request's headers; so long a connection stays open without a request too.
    pub header: Duration,
    /// From a request's headers to its response's headers, with the reading of its body. A response that goes on for as long as the client
    /// wants it, as a stream of events, is not ended by it.
    pub response: Duration,
    /// So long a client may take nothing of a response.
    pub write: Duration,
    /// Open connections. One more takes the place of the one that has waited longest for a request; where none waits, it waits itself.
    pub connections: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { header: seconds(30), response: seconds(30), write: seconds(30), connections: 256 }
    }
}

/// A request's line and headers, and what is read ahead of its body, fit into this.
const BUFFER_BYTES: usize = 64 << 10;
/// So long requests in hand are waited for when the process ends. Streams of events are over then.
const DRAIN: Duration = Duration::from_secs(2);
/// Between two looks at whether the process is to end, and after a connection that could not be accepted, as where no descriptor is left.
const LOOK: Duration = Duration::from_millis(50);

/// Binds an address.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until `stop` is raised, and returns when the requests in hand have been served or `DRAIN` is over. `limits` is asked anew for
/// each connection and request, so that they may change meanwhile. `listener` is from `bind`, so that a port in use is an error at start.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: impl Fn() -> ClientLimits + Send + Sync + 'static,
    stop: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (limits, open): (Arc<dyn Fn() -> ClientLimits + Send + Sync>, _) = (Arc::new(limits), Arc::new(Connections::default()));
    let mut tasks = JoinSet::new();
    let stopped = raised(Arc::clone(&stop));
    tokio::pin!(stopped);
    loop {
        let stream = tokio::select! {
            () = &mut stopped => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
        };
        match stream {
            Ok(stream) => {
                let connection = tokio::select! {
                    () = &mut stopped => break,
                    connection = open.admit(limits().connections) => connection,
                };
                tasks.spawn(converse(stream, router.clone(), connection, Arc::clone(&limits)));
            }
            Err(error) if is_of_one_client(&error) => debug!(%error, "a client went before it was accepted"),
            Err(error) => {
                warn!(%error, "no connection can be accepted");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
    open.end();
    let drained = async { while tasks.join_next().await.is_some() {} };
    // What is not done by then is cut with its tasks.
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}

async fn raised(stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

fn is_of_one_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection's whole life. It is closed when this returns.
async fn converse(stream: TcpStream, router: Router, connection: AdmittedConnection, limits: Arc<dyn Fn() -> ClientLimits + Send + Sync>) {
    // Small responses go out at once. Where that cannot be set they come a little later.
    let _ = stream.set_nodelay(true);
    let ClientLimits { header, write, .. } = limits();
    let io = TokioIo::new(WriteTimeout::new(stream, write));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let (in_request, limit) = (connection.begin_request(), limits().response);
        let response = router.call(request);
        async move {
            let response = match tokio::time::timeout(limit, response).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => timed_out(),
            };
            Ok::<_, Infallible>(response.map(|body| InRequest::new(body, in_request)))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header).max_buf_size(BUFFER_BYTES);
    let conversation = http.serve_connection(io, service);
    tokio::pin!(conversation);
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = connection.gives_way() => return,
        () = connection.ends_after_request() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a client's connection was ended");
    }
}

fn timed_out() -> Response<Body> {
    (StatusCode::SERVICE_UNAVAILABLE, "the request took too long\n").into_response()
}

#[cfg(test)]
mod tests;
