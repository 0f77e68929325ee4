//! The newest record of an asset in a stream's input: what previews, the editor and the answer to "why?" are made of.

use std::sync::Arc;

use crate::explain::RecordPlace;
use crate::explain::record::{WholeRecord, event_time_of};
use crate::json::tape::Tape;
use crate::record::mapping::{Mode, Stream};
use crate::serve::Serve;
use crate::serve::problem::Problem;
use crate::time::TimestampNs;

/// A record with its place and its event time.
#[derive(Debug, Clone)]
pub(crate) struct NewestRecord {
    pub(crate) place: Option<RecordPlace>,
    pub(crate) record: WholeRecord,
    /// None of a document.
    pub(crate) at: Option<TimestampNs>,
}

/// The newest record; none where there is none among the newest that are looked at, or the document was deleted.
pub(crate) async fn newest(serve: &Arc<Serve>, stream: &Stream, owner: &str, asset: &str) -> Result<Option<NewestRecord>, Problem> {
    let (stream, owner, asset) = (stream.clone(), owner.to_owned(), asset.to_owned());
    serve
        .look(move |serve| {
            let rules = serve.config().release_rules().read;
            let found = serve.newest_record(&stream, &owner, &asset)?;
            Ok(found.map(|found| {
                let at = match stream.mode {
                    Mode::Append => event_time_of(&found.record, &stream, &rules, &mut Tape::default()),
                    Mode::Upsert => None,
                };
                NewestRecord { place: found.place, record: found.record, at }
            }))
        })
        .await
}
