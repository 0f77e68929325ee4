//! Share visibility and Remove visibility.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::{Desk, MOST_CHOICES, begins, ends};
use crate::console::fields::pasted_ids;
use crate::console::handlers::editing::{capital, field_of};
use crate::console::handlers::sentence;
use crate::console::handlers::showing::examples;
use crate::console::model::{ShownShare, query};
use crate::console::pages::removal::{RemovePage, remove as remove_of};
use crate::console::pages::visibility::{
    AccountTie, BatchLine, BatchResult, OfferReview, ShareForm, VisibilityPage, results as results_of, share as share_of,
};
use crate::console::shell::PagePlace;
use crate::document::Node;
use crate::id::TenantId;
use crate::serve::problem::Problem;
use crate::serve::view::{CallerView, SeenShare, ShareQuery};
use crate::serve::write::order::{DataBuilder, MOST_ITEMS, WriteItem, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::configuration::PartnershipNeed;
use crate::share::event::kind::EventType;
use crate::share::state::{Reason, State};
use crate::share::status::Audience;
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::list::ShareFilter;

/// So many writes of a batch are on their way at once.
const AT_ONCE: usize = 64;

fn typed(ask: &Ask) -> ShareForm {
    let text = |name: &str| ask.fields.text(name);
    let pasted = ask.fields.raw("pasted").to_owned();
    let mut seen = HashSet::new();
    let all = ask.fields.all("asset").into_iter().chain(pasted_ids(&pasted).into_iter().map(|(_, id)| id));
    ShareForm {
        owner: text("owner"),
        to: text("to"),
        assets: all.filter(|asset| seen.insert(asset.clone())).collect(),
        pasted,
        target_asset: text("target_asset"),
        streams: ask.fields.all("streams"),
        profile: text("profile"),
        from: text("from"),
        until: text("until"),
        permission: text("permission"),
        label: text("label"),
        message: text("message"),
        errors: Vec::new(),
        unknown: Vec::new(),
        search: text("search"),
    }
}

fn tie(desk: &Desk, view: &CallerView, form: &mut ShareForm, owner: Option<&str>) -> AccountTie {
    if form.to.is_empty() {
        return AccountTie::Unnamed;
    }
    let Some(owner) = owner else {
        form.errors.push(("owner", "Say whose assets are shared.".to_owned()));
        return AccountTie::Unnamed;
    };
    if !TenantId::is_valid(&form.to) {
        form.errors.push(("to", "This is no account: 1 to 64 letters, digits, _ or -.".to_owned()));
        return AccountTie::Unnamed;
    }
    if form.to == owner {
        form.errors.push(("to", "This is the owner itself: name another account.".to_owned()));
        return AccountTie::Unnamed;
    }
    let is_family = |a: &str, b: &str| view.tenants().into_iter().any(|tenant| tenant.id == a && tenant.parent == Some(b));
    match desk.partners(view, owner).get(&form.to) {
        Some(auto_accept) => AccountTie::Partner { auto_accept: *auto_accept },
        None if is_family(owner, &form.to) || is_family(&form.to, owner) => AccountTie::Partner { auto_accept: true },
        None if view.partnership_need() == PartnershipNeed::Open => AccountTie::Open,
        None => AccountTie::Stranger,
    }
}

fn show(desk: &Desk, ask: &Ask, view: &CallerView, mut form: ShareForm, review: Option<OfferReview>) -> Reply {
    let owner = ask.owner();
    let tie = tie(desk, view, &mut form, owner.as_deref());
    let choices = desk.choices(view, owner.as_deref(), ask.caller().is_operator(), &form.search);
    if form.streams.is_empty() && !ask.fields.has("profile") {
        form.streams.clone_from(&choices.streams);
    }
    let page = VisibilityPage { form, choices, tie, review, seal: ask.seal(desk) };
    Reply::page("Share visibility", PagePlace::Share, share_of(&page))
}

pub(crate) fn page(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    show(desk, ask, view, typed(ask), None)
}

/// The offer of one asset.
fn offer(ask: &Ask, form: &ShareForm, asset: &str) -> Node {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    DataBuilder::default()
        .text_if("owner", ask.owner_in_address().as_deref())
        .text("asset", asset)
        .text("target_tenant", &form.to)
        .text_if("target_asset", text(&form.target_asset).as_deref())
        .texts_if("streams", Some(&form.streams))
        .text("profile", &form.profile)
        .text_if("permission", text(&form.permission).as_deref())
        .text_if("starts", begins(&form.from).map(|at| at.to_string()).as_deref())
        .text_if("ends", ends(&form.until).map(|at| at.to_string()).as_deref())
        .text_if("label", text(&form.label).as_deref())
        .text_if("message", text(&form.message).as_deref())
        .build()
}

/// What can be said against the fields before anything is tried.
fn check(desk: &Desk, ask: &Ask, view: &CallerView, form: &mut ShareForm) {
    let choice = ask.fields.all("unknown");
    let unknown = desk.unknown_assets(view, &ask.owner().unwrap_or_default(), &pasted_ids(&form.pasted));
    if choice.iter().any(|choice| choice == "omit") {
        let left_out: HashSet<&str> = unknown.iter().map(|(_, id)| id.as_str()).collect();
        form.assets.retain(|asset| !left_out.contains(asset.as_str()));
    } else if !choice.iter().any(|choice| choice == "share") && !unknown.is_empty() {
        let lines = if unknown.len() == 1 { "1 line names".to_owned() } else { format!("{} lines name", unknown.len()) };
        form.errors.push(("pasted", format!("{lines} no asset that is known here; see below.")));
        form.unknown = unknown;
    }
    let mut say = |field, what: &str| form.errors.push((field, what.to_owned()));
    if form.assets.is_empty() {
        say("pasted", "Tick an asset, or paste a list.");
    }
    if form.assets.len() > MOST_ITEMS {
        say("pasted", "These are more than 10,000: share them in parts.");
    }
    if form.assets.len() > 1 && !form.target_asset.is_empty() {
        say("target_asset", "Several assets cannot come under one id: leave it empty.");
    }
    if form.streams.is_empty() {
        say("streams", "Tick one at least.");
    }
    if form.profile.is_empty() {
        say("profile", "Choose one.");
    }
    for (field, day) in [("from", form.from.clone()), ("until", form.until.clone())] {
        if !day.is_empty() && begins(&day).is_none() {
            say(field, "This is no day. Write it as 2026-05-31.");
        }
    }
}

pub(crate) async fn review(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let mut form = typed(ask);
    check(desk, ask, view, &mut form);
    if !form.errors.is_empty() {
        return Ok(show(desk, ask, view, form, None));
    }
    let tried = tried(desk, ask, view, &mut form).await?;
    Ok(show(desk, ask, view, form, tried))
}

/// What the offers would come to; none where a field is wrong.
async fn tried(desk: &Arc<Desk>, ask: &Ask, view: &CallerView, form: &mut ShareForm) -> Result<Option<OfferReview>, Problem> {
    let items = form.assets.iter().map(|asset| WriteItem { name: asset.clone(), data: offer(ask, form, asset) }).collect();
    let order = WriteOrder { kind: EventType::ShareOffered, items, is_confirmed: false };
    let tried = match desk.serve.review(ask.caller(), order, None).await {
        Ok(tried) => tried,
        Err(problem) => {
            form.errors.push((field_of(problem.reason.map(Reason::code)), sentence(&problem)));
            return Ok(None);
        }
    };
    let refused: Vec<(String, String)> = tried.refusals().iter().map(|item| (item.name.clone(), capital(&item.detail))).collect();
    if let (true, Some(first)) = (tried.to_write() == 0, tried.refusals().first()) {
        // Refused for the same reason all: it is the fields' fault.
        if tried.refusals().iter().all(|item| item.reason == first.reason) {
            form.errors.push((field_of(first.reason.map(Reason::code)), capital(&first.detail)));
            return Ok(None);
        }
    }
    let refused_names: HashSet<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    let offers = form.assets.len() - refused_names.len();
    let subject = form.assets.iter().find(|asset| !refused_names.contains(asset.as_str()));
    let shown = match subject {
        Some(asset) => examples(desk, view, &example_share(desk, ask, view, form, asset)).await?,
        None => Vec::new(),
    };
    let until = if form.until.is_empty() { "for good".to_owned() } else { format!("until the end of {} (UTC)", form.until) };
    let from = if form.from.is_empty() { String::new() } else { format!("from {} ", form.from) };
    let what = if offers == 1 { subject.cloned().unwrap_or_default() } else { format!("{offers} assets") };
    let summary = format!("{} gets {} of {what}, under {}, {from}{until}.", form.to, form.streams.join(" and "), form.profile);
    Ok(Some(OfferReview { offers, summary, refused, examples: shown, critical: tried.critical().to_vec() }))
}

/// The share that an offer would make, for its example.
fn example_share(desk: &Desk, ask: &Ask, view: &CallerView, form: &ShareForm, asset: &str) -> ShownShare {
    let owner = ask.owner().unwrap_or_default();
    let now = desk.now(view);
    ShownShare {
        share: String::new(),
        profile_revision: view.profile(&owner, &form.profile).map(|profile| profile.revision),
        names: desk.names(&owner, asset),
        owner,
        asset: Some(asset.to_owned()),
        label: None,
        target: Some(form.to.clone()),
        invitee: None,
        target_asset: Some(if form.target_asset.is_empty() { asset.to_owned() } else { form.target_asset.clone() }),
        streams: form.streams.clone(),
        profile: form.profile.clone(),
        permission: "view",
        starts: None,
        ends: None,
        offer_expires: None,
        message: None,
        offered_at: now.millis(),
        accepted_at: None,
        ended_at: None,
        ended_by: None,
        status: crate::console::status::SharingStatus::Pending,
        is_own: true,
        revision: 0,
    }
}

pub(crate) async fn confirm(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let mut form = typed(ask);
    let Some(key) = ask.key().map(str::to_owned) else { return Err(Problem::malformed("The form has lost its key.")) };
    let ticked: HashSet<String> = ask.fields.all("critical").into_iter().collect();
    let review = tried(desk, ask, view, &mut form).await?;
    // Written before, under this key: what became of it is known, and the trial sees the shares that it made.
    if desk.batch(&format!("{}{key}", owner_key(ask))).is_none() {
        if let Some(review) = &review
            && review.critical.iter().any(|member| !ticked.contains(member))
        {
            form.errors.push(("critical", "Tick each member, or go back and choose another profile.".to_owned()));
            return Ok(show(desk, ask, view, form, Some(review.clone())));
        }
        let orders = form
            .assets
            .iter()
            .map(|asset| (asset.clone(), WriteOrder::one(EventType::ShareOffered, asset, offer(ask, &form, asset)).confirmed(true)));
        let lines = write_all(desk, ask, &key, orders.collect()).await;
        desk.keep_batch(&format!("{}{key}", owner_key(ask)), lines);
    }
    Ok(Reply::see(format!(
        "/visibility/results{}",
        query(&[("batch", &key), ("to", &form.to), ("owner", &form.owner), ("profile", &form.profile)])
    )))
}

/// Batches of one caller are not another's.
fn owner_key(ask: &Ask) -> String {
    format!("{} ", ask.caller().who)
}

/// Each by itself under its own key, so that one that is refused keeps no other back, and a repeat writes none twice.
async fn write_all(desk: &Arc<Desk>, ask: &Ask, key: &str, orders: Vec<(String, WriteOrder)>) -> Vec<BatchLine> {
    let write = |(at, (asset, order)): (usize, (String, WriteOrder))| {
        let (desk, caller, key) = (Arc::clone(desk), ask.caller().clone(), format!("{key}.{at}"));
        async move {
            let written = desk.serve.write(&caller, order, Some(&key)).await.and_then(WriteReceipt::single);
            match written {
                Ok(row) => {
                    let share = row.share.unwrap_or_default();
                    desk.await_certainty(&caller, &share);
                    BatchLine { asset, share, refused: None, status: None }
                }
                Err(problem) => BatchLine { asset, share: String::new(), refused: Some(sentence(&problem)), status: None },
            }
        }
    };
    stream::iter(orders.into_iter().enumerate().map(write)).buffered(AT_ONCE).collect().await
}

pub(crate) fn results(desk: &Desk, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let key = ask.fields.text("batch");
    let lines = desk
        .batch(&format!("{}{key}", owner_key(ask)))
        .ok_or_else(|| Problem::new(404, "What became of this batch is no longer kept here. Each asset's page shows its shares."))?;
    let (to, is_removal) = (ask.fields.text("to"), ask.fields.has("removed"));
    let with_status = |mut line: BatchLine| {
        line.status = view.share(&line.share).map(|share| desk.status(share, view).badge());
        line
    };
    let lines: Vec<BatchLine> = lines.into_iter().map(with_status).collect();
    let refused: Vec<&BatchLine> = lines.iter().filter(|line| line.refused.is_some()).collect();
    let done = lines.len() - refused.len();
    let noun = |count: usize| if count == 1 { "1 asset".to_owned() } else { format!("{count} assets") };
    let verb = if is_removal { format!("{} no longer shared with {to}", noun(done)) } else { format!("{} offered to {to}", noun(done)) };
    let summary = if refused.is_empty() { format!("{verb}.") } else { format!("{verb}, {} refused.", refused.len()) };
    let owner = ask.owner_in_address();
    let retry = (!refused.is_empty() && !is_removal).then(|| {
        let pairs: Vec<(&str, &str)> = [("to", to.as_str()), ("owner", owner.as_deref().unwrap_or_default())]
            .into_iter()
            .chain(refused.iter().take(200).map(|line| ("asset", line.asset.as_str())))
            .collect();
        maud::html! { a.button href={ "/visibility" (query(&pairs)) } { "Try the refused again" } }
    });
    let title = if is_removal { "Visibility removed" } else { "Visibility shared" };
    let body = results_of(&BatchResult { title, summary, lines, retry, owner, is_from_memory: true });
    Ok(Reply::page(title, PagePlace::Share, body))
}

/// The states of shares that are not over.
const OPEN: [State; 3] = [State::Pending, State::Active, State::Paused];

/// The newest shares of the owner with an account that are not over, and whether there are more.
fn open_shares(desk: &Desk, ask: &Ask, view: &CallerView, to: &str) -> (Vec<ShownShare>, bool) {
    let Some(owner) = ask.owner() else { return (Vec::new(), false) };
    let filter = ShareFilter { owners: vec![owner], targets: vec![to.to_owned()], states: OPEN.to_vec(), ..ShareFilter::default() };
    let query = ShareQuery { side: view.tenant().map(|_| ShareSide::Owner), invited: None, filter };
    let found = view.shares(&query, None, MOST_CHOICES).unwrap_or_default();
    (found.shares.into_iter().map(|share| desk.shown(share, view)).collect(), found.next.is_some())
}

fn removal(desk: &Desk, ask: &Ask, view: &CallerView) -> RemovePage {
    let to = ask.fields.text("to");
    let (shares, has_more) = if to.is_empty() { (Vec::new(), false) } else { open_shares(desk, ask, view, &to) };
    let owner = ask.owner().unwrap_or_default();
    RemovePage {
        owner: ask.owner_in_address().unwrap_or_default(),
        is_operator: ask.caller().is_operator(),
        partners: desk.partners(view, &owner).into_keys().collect(),
        pasted: ask.fields.raw("pasted").to_owned(),
        to,
        shares,
        has_more,
        chosen: Vec::new(),
        unknown: Vec::new(),
        is_review: false,
        error: None,
        seal: ask.seal(desk),
    }
}

pub(crate) fn remove_page(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    Reply::page("Remove visibility", PagePlace::Share, remove_of(&removal(desk, ask, view)))
}

pub(crate) fn remove_review(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    let mut page = removal(desk, ask, view);
    let owner = ask.owner().unwrap_or_default();
    let is_open = |share: &SeenShare<'_>| {
        let document = share.document();
        let is_own = share.audience() == Audience::Owner && document.owner == owner;
        is_own && document.target_tenant == Some(page.to.as_str()) && OPEN.contains(&document.state)
    };
    let ticked: Vec<SeenShare<'_>> = ask.fields.all("share").iter().filter_map(|id| view.share(id)).filter(is_open).collect();
    let of_asset = |asset: &str| view.shares_of_asset(&owner, asset).into_iter().filter(is_open).collect::<Vec<_>>();
    let pasted = pasted_ids(&page.pasted).into_iter().map(|(line, id)| (of_asset(&id), line, id));
    let (known, unknown): (Vec<_>, Vec<_>) = pasted.partition(|(shares, ..)| !shares.is_empty());
    let mut seen = HashSet::new();
    let all = ticked.into_iter().chain(known.into_iter().flat_map(|(shares, ..)| shares));
    let chosen = all.filter(|share| seen.insert(share.document().share)).map(|share| desk.shown(share, view)).collect();
    (page.chosen, page.unknown) = (chosen, unknown.into_iter().map(|(_, line, id)| (line, id)).collect());
    let leaves_out = ask.fields.all("unknown").iter().any(|choice| choice == "omit");
    if page.chosen.is_empty() {
        page.error = Some("Tick an asset, or paste a list.".to_owned());
    } else if page.unknown.is_empty() || leaves_out {
        page.is_review = true;
    }
    Reply::page("Remove visibility", PagePlace::Share, remove_of(&page))
}

pub(crate) async fn remove(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let Some(key) = ask.key().map(str::to_owned) else { return Err(Problem::malformed("The form has lost its key.")) };
    let kept = format!("{}{key}", owner_key(ask));
    if desk.batch(&kept).is_none() {
        let (mut orders, mut ids) = (Vec::new(), Vec::new());
        for id in ask.fields.all("share") {
            let Some(share) = view.share(&id) else { continue };
            let document = share.document();
            let kind = if document.state == State::Pending { EventType::ShareCancelled } else { EventType::ShareRevoked };
            let data = DataBuilder::default().text("share", &id).build();
            orders.push((document.asset_for(share.audience()).unwrap_or_default().to_owned(), WriteOrder::one(kind, &id, data)));
            ids.push(id);
        }
        let mut lines = write_all(desk, ask, &key, orders).await;
        lines.iter_mut().zip(ids).for_each(|(line, id)| line.share = id);
        desk.keep_batch(&kept, lines);
    }
    let to = ask.fields.text("to");
    Ok(Reply::see(format!(
        "/visibility/results{}",
        query(&[("batch", &key), ("to", &to), ("owner", &ask.fields.text("owner")), ("removed", "1")])
    )))
}
