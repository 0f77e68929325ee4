//! What handlers ask and write through: the process's state, as one caller may see it, in the shapes that pages show.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;

use crate::access::Caller;
use crate::access::session::{SESSION_MS, Session, SessionKey};
use crate::clock::{Clock, SystemClock};
use crate::config::{AuthConfig, Config};
use crate::console::engines::Engines;
use crate::console::model::{AssetTitle, ProfileChoice, ShownShare};
use crate::console::names;
use crate::console::pages::invitations::OfferChoices;
use crate::console::pages::visibility::BatchLine;
use crate::console::parts::Choice;
use crate::console::signing_in;
use crate::console::status::{Certainty, Flowing, SharingStatus};
use crate::id::AssetId;
use crate::json::document;
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::Mode;
use crate::serve::Serve;
use crate::serve::view::{CallerView, SeenShare, ShareQuery};
use crate::share::event::write_token::WriteToken;
use crate::share::state::State;
use crate::share::table::parties::Bonded;
use crate::share::view::asset_order::in_order;
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::list::ShareFilter;
use crate::time::{TimestampMs, TimestampNs};

/// So many assets are offered for choice; the rest is pasted.
pub(crate) const MOST_CHOICES: usize = 500;
/// Rows of a page.
pub(crate) const ROWS: usize = 50;
/// Results of batches are kept so long: of the last so many.
const BATCHES_KEPT: usize = 64;

/// All that handlers share.
pub(crate) struct Desk {
    pub(crate) serve: Arc<Serve>,
    pub(crate) key: SessionKey,
    pub(crate) is_https: bool,
    pub(crate) engines: Arc<Engines>,
    /// What became of the last batches, by their key: the newest last.
    batches: Mutex<VecDeque<(String, Vec<BatchLine>)>>,
}

impl Desk {
    pub(crate) fn new(serve: Arc<Serve>) -> Arc<Self> {
        let is_https = serve.config().api.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        let engines = Engines::start(Arc::clone(&serve));
        Arc::new(Self { key: SessionKey::of(serve.secret()), is_https, engines, batches: Mutex::default(), serve })
    }

    pub(crate) fn config(&self) -> &Config {
        self.serve.config()
    }

    /// The clock, or the control log's where that is later.
    pub(crate) fn now(&self, view: &CallerView) -> TimestampNs {
        SystemClock.wall().max(view.control_time()).moment()
    }

    pub(crate) fn random(&self) -> String {
        // Without random bits nothing can be signed in or written.
        WriteToken::new(crate::writing::random::random().expect("the system gives random bits")).event_id()
    }

    /// The session of whom a proxy names, or of a cookie, if it is still good; where nobody signs in, that of whoever is here.
    pub(crate) async fn session(&self, cookie: Option<&str>, headers: &HeaderMap) -> Option<Session> {
        let now = SystemClock.wall();
        if let Some(caller) = signing_in::everybody(&self.serve, headers).await {
            return Some(Session { caller, holder: None, expires: TimestampMs(now.0 + SESSION_MS), nonce: "everybody".to_owned() });
        }
        if let Some(session) = signing_in::proxied(&self.serve, &self.key, headers, now).await {
            return session;
        }
        let is_open = matches!(self.config().api.auth, AuthConfig::Nobody);
        let session = cookie.and_then(|cookie| self.key.open(cookie, now)).filter(|_| !is_open);
        session.filter(|session| signing_in::is_still_good(&self.serve, session))
    }

    /// A new session of who brought a good token.
    pub(crate) async fn sign_in(&self, token: &str) -> Option<Session> {
        let now = SystemClock.wall();
        let (caller, holder) = signing_in::who(&self.serve, token).await?;
        Some(Session { caller, holder, expires: TimestampMs(now.0 + SESSION_MS), nonce: self.random() })
    }

    /// What the directory knows of an asset, for its owner and the operator.
    pub(crate) fn names(&self, owner: &str, asset: &str) -> AssetTitle {
        names::of(&self.serve, owner, asset)
    }

    pub(crate) fn waiting_offers(&self, view: &CallerView) -> usize {
        if view.tenant().is_none() {
            return 0;
        }
        let filter = ShareFilter { states: vec![State::Pending], ..ShareFilter::default() };
        usize::try_from(view.stats(&ShareQuery { side: Some(ShareSide::Target), invited: None, filter }).pending).unwrap_or(usize::MAX)
    }

    /// How a share stands.
    pub(crate) fn status(&self, share: SeenShare<'_>, view: &CallerView) -> SharingStatus {
        let document = share.document();
        let flowing = match document.state {
            State::Active => self.engines.flowing(self.config(), &document, share.changed_at()),
            _ => Flowing::Established,
        };
        let certainty = match document.state {
            State::Revoked => {
                self.engines.certainty(self.config(), &document, share.changed_at(), SystemClock.wall().max(view.control_time()))
            }
            _ => Certainty::NotYet,
        };
        SharingStatus::of(&document, self.now(view), &flowing, certainty)
    }

    /// Begins to find out since when a share that was stopped is so for certain.
    pub(crate) fn await_certainty(&self, caller: &Caller, share: &str) {
        let view = self.serve.view(caller);
        if let Some(share) = view.share(share).filter(|share| share.document().state == State::Revoked) {
            self.engines.await_certainty(&self.serve, share.changed_at());
        }
    }

    /// A share as its page shows it.
    pub(crate) fn shown(&self, share: SeenShare<'_>, view: &CallerView) -> ShownShare {
        let document = share.document();
        let names = document.asset_for(share.audience()).map(|asset| self.names(document.owner, asset)).unwrap_or_default();
        let mut shown = ShownShare::of(&document, share.audience(), names, self.status(share, view));
        shown.invitee = shown.invitee.or(share.invitee().map(str::to_owned));
        shown.profile_revision = document.profile.and_then(|profile| view.profile(document.owner, profile)).map(|profile| profile.revision);
        shown
    }

    /// Live partners of a tenant, with whether its offers to them are accepted by themselves.
    pub(crate) fn partners(&self, view: &CallerView, owner: &str) -> BTreeMap<String, bool> {
        let other = |tenants: [&str; 2]| match tenants {
            [a, b] if a == owner => Some(b.to_owned()),
            [a, b] if b == owner => Some(a.to_owned()),
            _ => None,
        };
        let active = view.partnerships().into_iter().filter_map(|pair| match pair.bond {
            Bonded::Active { auto_accept } => Some((other(pair.tenants)?, auto_accept)),
            Bonded::OfferedBy(_) => None,
        });
        active.collect()
    }

    /// Profiles that an offer of the owner can name.
    pub(crate) fn profiles(&self, view: &CallerView, owner: &str) -> Vec<ProfileChoice> {
        let own = view.profiles().into_iter().filter(|profile| profile.owner == owner && !profile.is_retired);
        let choice = |profile: crate::share::table::query::ProfileView<'_>| {
            let spec = document::parse(profile.spec).ok().and_then(|node| ProfileSpec::read(&node).ok());
            let has = |stream: &&str| spec.as_ref().is_some_and(|spec| spec.has_section(stream));
            let streams = self.streams(view).into_iter().filter(|stream| has(&stream.as_str())).collect();
            ProfileChoice { name: profile.name.to_owned(), revision: Some(profile.revision), streams }
        };
        let all = ProfileChoice { name: "all".to_owned(), revision: None, streams: self.streams(view) };
        own.map(choice).chain([all]).collect()
    }

    /// Assets of the owner that are known, by the directory or by its shares: in people's order, those after `after`, at most so many.
    pub(crate) fn assets(
        &self,
        view: &CallerView,
        owner: &str,
        search: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(String, AssetTitle)> {
        let mut all = names::some(&self.serve, view, owner, search, after, limit);
        if self.config().api.directory.is_some() {
            // What is shared, and has no document.
            let shared = view.shared_assets_with(owner, &search.to_lowercase(), after, limit);
            for asset in shared {
                if let Err(at) = all.binary_search_by(|(known, _)| in_order(known, asset)) {
                    all.insert(at, (asset.to_owned(), self.names(owner, asset)));
                }
            }
        }
        all.truncate(limit);
        all
    }

    /// Which of these assets of the owner nobody has heard of; none where nothing is known of any.
    pub(crate) fn unknown_assets(&self, view: &CallerView, owner: &str, ids: &[(usize, String)]) -> Vec<(usize, String)> {
        let knows_none = self.config().api.directory.is_none() && view.shared_assets(owner, None).next().is_none();
        let is_known = |id: &str| knows_none || view.has_named(owner, id) || self.serve.asset(owner, id).is_some();
        ids.iter().filter(|(_, id)| !AssetId::is_valid(id) || !is_known(id)).cloned().collect()
    }

    /// The streams as pages list them: what is sent all the time first.
    pub(crate) fn streams(&self, view: &CallerView) -> Vec<String> {
        let mut streams: Vec<String> = view.streams().into_iter().map(str::to_owned).collect();
        let is_document = |name: &str| self.config().stream(name).is_some_and(|stream| stream.mode == Mode::Upsert);
        streams.sort_by_key(|name| (is_document(name), name.clone()));
        streams
    }

    /// What a form of an offer offers to choose from.
    pub(crate) fn choices(&self, view: &CallerView, owner: Option<&str>, is_operator: bool, search: &str) -> OfferChoices {
        let owner = owner.unwrap_or_default();
        let assets = self.assets(view, owner, search, None, MOST_CHOICES).into_iter();
        OfferChoices {
            assets: assets.map(|(asset, names)| Choice::new(asset, names.line())).collect(),
            profiles: self.profiles(view, owner),
            streams: self.streams(view),
            partners: self.partners(view, owner).into_keys().collect(),
            is_operator,
        }
    }

    /// Keeps what became of a batch.
    pub(crate) fn keep_batch(&self, key: &str, lines: Vec<BatchLine>) {
        let mut batches = self.batches.lock().expect("it is only added to");
        batches.retain(|(known, _)| known != key);
        batches.push_back((key.to_owned(), lines));
        while batches.len() > BATCHES_KEPT {
            batches.pop_front();
        }
    }

    /// What became of a batch, while it is kept.
    pub(crate) fn batch(&self, key: &str) -> Option<Vec<BatchLine>> {
        self.batches.lock().expect("it is only added to").iter().find(|(known, _)| known == key).map(|(_, lines)| lines.clone())
    }
}

const DAY: i128 = 86_400_000_000_000;

/// The beginning of a day, `2026-05-31`, in UTC.
pub(crate) fn begins(day: &str) -> Option<TimestampNs> {
    (day.len() == 10).then(|| TimestampNs::parse_rfc3339(&format!("{day}T00:00:00Z"))).flatten()
}

/// The end of a day: the beginning of the next.
pub(crate) fn ends(day: &str) -> Option<TimestampNs> {
    begins(day).and_then(|at| TimestampNs::from_nanos(at.nanos() + DAY))
}

/// The day that begins then, or in which it lies.
pub(crate) fn day_of_begin(at: Option<TimestampNs>) -> String {
    at.map(|at| at.to_string().chars().take(10).collect()).unwrap_or_default()
}

/// The day that ends then, or in which it lies.
pub(crate) fn day_of_end(at: Option<TimestampNs>) -> String {
    day_of_begin(at.and_then(|at| TimestampNs::from_nanos(at.nanos() - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_next_begins() {
        assert_eq!(ends("2026-02-28").unwrap().to_string(), "2026-03-01T00:00:00Z");
        assert_eq!(day_of_end(ends("2026-05-31")), "2026-05-31");
        assert_eq!(day_of_begin(begins("2026-05-31")), "2026-05-31");
        assert_eq!((begins("31.5.2026"), ends(""), day_of_end(None)), (None, None, String::new()));
    }
}
