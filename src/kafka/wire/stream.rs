//! Bytes to a broker and back, in the open or through TLS, each wait with its end.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use openssl::ssl::SslStream;
use rustix::net::{RecvFlags, recv};

use super::tls::TlsSettings;
use crate::kafka::client::Deadline;

/// A wait of 0 is none to a socket.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A stream that blocks, but never past a deadline.
pub(super) enum BrokerStream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl BrokerStream {
    /// Connects to the first of the host's addresses that takes it.
    pub(super) fn connect(host: &str, port: u16, tls: Option<&TlsSettings>, deadline: Deadline) -> io::Result<Self> {
        let mut refused = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, wait_of(deadline)?) {
                Ok(stream) => return Self::begin(stream, host, tls, deadline),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn begin(stream: TcpStream, host: &str, tls: Option<&TlsSettings>, deadline: Deadline) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(wait_of(deadline)?))?;
        stream.set_write_timeout(Some(wait_of(deadline)?))?;
        match tls {
            None => Ok(Self::Plain(stream)),
            Some(tls) => tls.handshake(host, stream).map(|stream| Self::Tls(Box::new(stream))),
        }
    }

    /// Has the system look, while nothing is asked of the broker, whether it is still there.
    pub(super) fn keep_alive(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_keepalive(self.socket(), true)?)
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    /// Writes all of it.
    pub(super) fn write_all(&mut self, mut slices: &mut [IoSlice<'_>], deadline: Deadline) -> io::Result<()> {
        self.socket().set_write_timeout(Some(wait_of(deadline)?))?;
        match self {
            Self::Plain(stream) => {
                IoSlice::advance_slices(&mut slices, 0);
                while !slices.is_empty() {
                    match stream.write_vectored(slices) {
                        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                        Ok(written) => IoSlice::advance_slices(&mut slices, written),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(of_wait(error)),
                    }
                    wait_of(deadline)?;
                }
                Ok(())
            }
            Self::Tls(stream) => {
                // Each write is a record of its own, and most pieces are small.
                let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                stream.write_all(&whole).map_err(of_wait)
            }
        }
    }

    /// Reads what there is, and waits for nothing: none where there is nothing. 0 is the end of the stream.
    pub(super) fn read_now(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match self {
            Self::Plain(stream) => recv(stream, into, RecvFlags::DONTWAIT).map(|(read, _)| read).map_err(io::Error::from),
            // A part of a record may be there, which OpenSSL would wait for the rest of.
            Self::Tls(stream) => {
                stream.get_ref().set_nonblocking(true)?;
                let read = stream.read(into);
                stream.get_ref().set_nonblocking(false)?;
                read
            }
        };
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads what there is, and waits for something. 0 is the end of the stream.
    pub(super) fn read(&mut self, into: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        self.socket().set_read_timeout(Some(wait_of(deadline)?))?;
        loop {
            let read = match self {
                Self::Plain(stream) => stream.read(into),
                Self::Tls(stream) => stream.read(into),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    wait_of(deadline)?;
                }
                read => return read.map_err(of_wait),
            }
        }
    }
}

fn wait_of(deadline: Deadline) -> io::Result<Duration> {
    match deadline.left() {
        left if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left.max(SHORTEST_WAIT)),
    }
}

/// A socket whose wait is over says that it would block.
fn of_wait(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}
