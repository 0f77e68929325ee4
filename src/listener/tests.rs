//! Real clients on a real port. What is awaited is what the server does, never that time passes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use futures_util::stream;

use super::*;

const LONG: Duration = Duration::from_secs(600);
const PATIENT: ClientLimits = ClientLimits { header: LONG, response: LONG, write: LONG, connections: 100 };

/// Told when a response's body is dropped.
struct DroppedBody(Sender<()>);

impl Drop for DroppedBody {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send(());
    }
}

struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// One for each endless response that was cut.
    gone: Receiver<()>,
    serving: Option<JoinHandle<()>>,
}

impl Running {
    fn with(limits: ClientLimits) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, stop, (cut, gone)) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)), channel());
        let endless = async |State(cut): State<Sender<()>>| {
            let gone = DroppedBody(cut);
            Body::from_stream(stream::repeat_with(move || {
                let _ = &gone;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096]))
            }))
        };
        let router = Router::new()
            .route("/", get(async || "ok\n"))
            .route("/never", get(async || std::future::pending::<&str>().await))
            .route("/length", post(async |body: Bytes| body.len().to_string()))
            .route("/endless", get(endless))
            .with_state(cut);
        let raised = Arc::clone(&stop);
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, router, move || limits, raised)).unwrap();
        });
        Self { address, stop, gone, serving: Some(serving) }
    }

    fn send(&self, text: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client
    }

    fn ask(&self, path: &str) -> String {
        rest_of(self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")))
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.serving.take().unwrap().join().unwrap();
    }
}

/// Everything up to the server's close, which may be a reset where it had not read all.
fn rest_of(mut client: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn first_line(mut client: &TcpStream) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" && client.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

#[test]
fn who_sends_half_a_header_is_cut_and_others_go_on_being_served() {
    let running = Running::with(ClientLimits { header: Duration::from_millis(200), ..PATIENT });
    let slow: Vec<TcpStream> = (0..5).map(|_| running.send("GET / HTTP/1.1\r\nhost: x\r\nx-half")).collect();
    let silent = TcpStream::connect(running.address).unwrap();
    assert!(running.ask("/").ends_with("ok\n"));
    slow.into_iter().for_each(|client| assert_eq!(rest_of(client), ""));
    assert_eq!(rest_of(silent), "");
    assert!(running.ask("/").ends_with("ok\n"));
    running.end();
}

#[test]
fn an_idle_connection_is_closed_after_its_response() {
    let running = Running::with(ClientLimits { header: Duration::from_millis(200), ..PATIENT });
    let client = running.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(rest_of(client).ends_with("ok\n"));
    running.end();
}

#[test]
fn a_request_ends_by_its_time_out_with_or_without_the_rest_of_its_body() {
    let running = Running::with(ClientLimits { response: Duration::from_millis(200), ..PATIENT });
    let half = running.send("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
    for client in [half, running.send("GET /never HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")] {
        let answer = rest_of(client);
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the request took too long\n"), "{answer}");
    }
    let whole = running.send("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfour");
    assert!(rest_of(whole).ends_with("\r\n\r\n4"));
    running.end();
}

#[test]
fn a_response_that_goes_on_outlives_the_time_out_of_its_request() {
    let running = Running::with(ClientLimits { response: Duration::from_millis(50), ..PATIENT });
    let mut client = running.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
    let never = running.send("GET /never HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    // The later request's time-out is over, so that of the earlier is too.
    assert!(rest_of(never).starts_with("HTTP/1.1 503 "));
    assert!(running.gone.try_recv().is_err());
    let mut much = vec![0; 32 << 20];
    client.read_exact(&mut much).unwrap();
    drop(client);
    running.gone.recv().unwrap();
    running.end();
}

#[test]
fn who_does_not_take_its_response_is_cut() {
    let running = Running::with(ClientLimits { write: Duration::from_millis(200), ..PATIENT });
    let _client = running.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
    running.gone.recv().unwrap();
    running.end();
}

#[test]
fn one_connection_too_many_takes_the_place_of_the_one_that_waits_longest() {
    let running = Running::with(ClientLimits { connections: 2, ..PATIENT });
    let half = running.send("GET / HTTP/1.1\r\nhost: x\r\nx-half");
    let in_request = running.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(first_line(&in_request), "HTTP/1.1 200 OK");
    assert!(running.ask("/").ends_with("ok\n"));
    assert_eq!(rest_of(half), "");
    assert!(running.gone.try_recv().is_err(), "a request in hand is not cut for another client");
    // Where all have a request in hand, one more waits for the end of one.
    let second = running.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(first_line(&second), "HTTP/1.1 200 OK");
    let waiting = running.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    drop(second);
    assert!(rest_of(waiting).ends_with("ok\n"));
    drop(in_request);
    running.end();
}

#[test]
fn the_end_waits_for_no_client_that_has_asked_nothing_whole() {
    let running = Running::with(PATIENT);
    let half = running.send("GET / HTTP/1.1\r\nhost: x\r\nx-half");
    let idle = running.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(first_line(&idle), "HTTP/1.1 200 OK");
    let endless = running.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(first_line(&endless), "HTTP/1.1 200 OK");
    running.stop.store(true, Ordering::Relaxed);
    assert_eq!(rest_of(half), "");
    assert!(rest_of(idle).ends_with("ok\n"));
    running.gone.recv().unwrap();
    running.end();
}
