//! `/metrics` (OpenMetrics text, as Prometheus scrapes it) and `/healthz` over HTTP, on a thread of its own.
//!
//! A slow or silent client cannot hold anything up: there are at most [`CONNECTIONS`] of them, each has
//! [`HEADER_TIME`] to say what it wants and [`CONNECTION_TIME`] altogether.

use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, oneshot};

/// Connections at a time; further ones wait in the kernel's queue.
pub const CONNECTIONS: usize = 16;

/// A client has this long to send the head of its request.
pub const HEADER_TIME: Duration = Duration::from_secs(5);

/// A connection is closed after this long, whatever it does.
pub const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// The pause after an error of `accept` such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

/// Whether the program does its work; the sentence says why it does not.
pub type Health = dyn Fn() -> Result<(), String> + Send + Sync;

/// A running endpoint. It ends when this is dropped.
pub struct Endpoint {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The value of a label as OpenMetrics has it: prometheus-client writes it as it is.
#[must_use]
pub fn escaped(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"");
    value.replace('\n', r"\n")
}

/// Opens `address` and answers there until the returned [`Endpoint`] is dropped.
///
/// # Errors
/// When the address cannot be opened, or the thread not be started.
pub fn serve(
    address: SocketAddr,
    registry: Arc<Registry>,
    health: Arc<Health>,
) -> std::io::Result<Endpoint> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, registry, health) => {}
                    _ = stopped => {}
                }
            });
        })?;
    Ok(Endpoint {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Endpoint {
    /// Where it listens: the port that was really taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.address).finish()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that has panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, registry: Arc<Registry>, health: Arc<Health>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (registry, health) = (Arc::clone(&registry), Arc::clone(&health));
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let response = answer(&request, &registry, &*health);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .serve_connection(TokioIo::new(stream), answer);
            // Whatever the client breaks is its own loss.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
            drop(place);
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    registry: &Registry,
    health: &Health,
) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => metrics(registry),
        (&Method::GET | &Method::HEAD, "/healthz") => match health() {
            Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        },
        (&Method::GET | &Method::HEAD, _) => (
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /metrics and /healthz\n".to_owned(),
        ),
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "only GET and HEAD\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn metrics(registry: &Registry) -> (StatusCode, &'static str, String) {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => (StatusCode::OK, OPEN_METRICS, text),
        Err(fmt::Error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            "the counters cannot be written\n".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read, Write};
    use std::net::TcpStream;

    use prometheus_client::metrics::counter::Counter;

    use super::*;

    fn endpoint(health: Result<(), String>) -> (Endpoint, Counter) {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("flows", "Flows seen", counter.clone());
        let health = Arc::new(move || health.clone());
        let endpoint = serve("127.0.0.1:0".parse().unwrap(), Arc::new(registry), health);
        (endpoint.unwrap(), counter)
    }

    fn ask(endpoint: &Endpoint, request: &str) -> String {
        let mut stream = TcpStream::connect(endpoint.address()).unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn counters_are_what_they_are_when_asked() {
        let (endpoint, counter) = endpoint(Ok(()));
        assert!(ask(&endpoint, "GET /metrics").contains("\nflows_total 0\n"));
        counter.inc_by(5);
        let answer = ask(&endpoint, "GET /metrics");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\nflows_total 5\n"), "{answer}");
        assert!(answer.contains("application/openmetrics-text"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[test]
    fn health_other_paths_and_methods() {
        let (well, _) = endpoint(Ok(()));
        assert!(ask(&well, "GET /healthz").starts_with("HTTP/1.1 200 "));
        assert!(ask(&well, "GET /").starts_with("HTTP/1.1 404 "));
        assert!(ask(&well, "POST /metrics").starts_with("HTTP/1.1 405 "));
        let (ill, _) = endpoint(Err("disk full".to_owned()));
        let answer = ask(&ill, "GET /healthz");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("disk full\n"), "{answer}");
    }

    #[test]
    fn a_client_that_says_nothing_or_rubbish_does_not_keep_others_out() {
        let (endpoint, _) = endpoint(Ok(()));
        let silent: Vec<_> = (0..CONNECTIONS - 1)
            .map(|_| TcpStream::connect(endpoint.address()).unwrap())
            .collect();
        let mut rubbish = TcpStream::connect(endpoint.address()).unwrap();
        rubbish.write_all(&[0xff; 4096]).unwrap();
        drop(rubbish);
        assert!(ask(&endpoint, "GET /healthz").starts_with("HTTP/1.1 200 "));
        drop(silent);
    }

    #[test]
    fn the_port_is_free_again_after_the_end_and_taken_before() {
        let (endpoint, _) = endpoint(Ok(()));
        let address = endpoint.address();
        let again = || serve(address, Arc::default(), Arc::new(|| Ok(())));
        assert!(again().is_err());
        drop(endpoint);
        assert!(again().is_ok());
    }
}
