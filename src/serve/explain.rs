//! Why a record did or did not flow, by the decision of the engines and by the shares of one state.

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Secret};
use crate::explain::decision::WouldBeRecord;
use crate::explain::record::WholeRecord;
use crate::explain::{Explainer, Explanation, RecordPlace};
use crate::record::mapping::Stream;
use crate::serve::view::CallerView;

impl CallerView {
    /// What becomes of a record of the caller's own asset, or without one of what would come now.
    pub(crate) fn explain(
        &self,
        config: &Config,
        stream: &Stream,
        record: Option<(&WholeRecord, Option<RecordPlace>)>,
        owner: &str,
        asset: &str,
    ) -> Explanation {
        let secret = config.mask_secret.as_ref().map(Secret::expose);
        let explainer = Explainer::new(config.release_rules(), secret).with_lists(&self.state().by_tenant);
        let (table, now) = (&self.state().table, SystemClock.wall());
        match record {
            Some((record, place)) => explainer.record(table, stream, record, place, now),
            None => explainer.would_be(table, stream, WouldBeRecord { owner, asset, time: now.moment() }, now),
        }
    }
}
