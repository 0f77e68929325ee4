//! The native data plane: Kafka's protocol without librdkafka, for what costs most: to produce in transactions, and to fetch.
//!
//! It is for clusters of Kafka 4.0 or later whose feature `transaction.version` is 2; membership, the control plane and everything else
//! stay with librdkafka. No asynchronous runtime, and no thread but for a moment while a reader connects: the worker's thread writes
//! into its sockets and waits for them.
//!
//! In reading order: `frame`, `messages` and `record_batch` are what goes over the wire, and pure; `stream`, `tls`, `sasl`
//! and `connection` carry it; `cluster` knows brokers and coordinators, `outgoing` and `sender` bring batches to leaders, `verdict` says
//! what each error means, and `producer` is the seam; `fetcher` brings records, read by its `fetched_batch`. `predecessor` takes away what a process that has died left
//! with the cluster.

mod cluster;
mod compression;
mod connection;
mod error_code;
mod fetcher;
mod frame;
mod messages;
mod outgoing;
mod predecessor;
mod producer;
mod record_batch;
mod sasl;
mod sender;
mod settings;
mod stream;
mod tls;
mod verdict;

pub(super) use self::fetcher::{FetchEvent, RecordFetcher};
pub use self::predecessor::Predecessor;
pub use self::producer::NativeProducer;
pub(super) use self::producer::StartError;
