//! `/preview`, `/explain`, and a profile on a record: what leaves, and why.

use std::sync::Arc;

use crate::config::Secret;
use crate::document::Node;
use crate::explain::decision::WouldBeRecord;
use crate::explain::json::members_to_json;
use crate::explain::members::ProfileText;
use crate::explain::project::RecordProjector;
use crate::explain::record::WholeRecord;
use crate::explain::{Explanation, RecordPlace};
use crate::id::{AssetId, Offset, TenantId};
use crate::inspect::offer::{OfferPreview, OfferSubject, OfferedProfile, PreviewError, PreviewedRecord};
use crate::inspect::publication::{ComparedProfile, look, to_json, users};
use crate::inspect::record_search::FoundRecord;
use crate::json::document;
use crate::json::writer::object;
use crate::profile::compile::Profile;
use crate::profile::parties::Parties;
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::Stream;
use crate::serve::Serve;
use crate::serve::look::{MOST_ASSETS, PointInTime};
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, ok};
use crate::serve::rest::bodies::{OfferBody, PreviewBody, PublicationBody, RenderBody};
use crate::serve::rest::body::JsonNode;
use crate::serve::rest::documents::{ExplanationDocument, PreviewsDocument, PublicationDocument, RenderedDocument};
use crate::serve::rest::listing::EpochParameters;
use crate::serve::rest::profiles::{of_source, owner_of};
use crate::serve::rest::request::{Asked, Id};
use crate::serve::write::order::WriteOrder;
use crate::share::event::kind::EventType;
use crate::share::state::{Reason, State};
use crate::share::status::Audience;
use crate::time::{TimestampMs, TimestampNs};

/// Shows what a target would see of up to ten assets: the profile's rules, and the newest record of each stream as it would leave. Nothing
/// is written.
#[utoipa::path(post, path = "/preview", tag = "looking", params(EpochParameters), request_body = PreviewBody,
    responses((status = 200, description = "Each asset, stream by stream", body = PreviewsDocument)))]
pub(super) async fn preview(asked: Asked, JsonNode(body, node): JsonNode<PreviewBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let owner = owner_of(&asked, body.owner.as_deref())?;
    let assets: Vec<String> = body.asset.iter().chain(body.assets.iter().flatten()).cloned().collect();
    if assets.is_empty() || assets.len() > MOST_ASSETS {
        return Err(Problem::of_member("assets", format!("1 to {MOST_ASSETS} assets can be looked at in one request")).into());
    }
    let records = node.get("records").cloned();
    let (caller, epoch) = (asked.caller.clone(), asked.view.epoch());
    let previews = asked.serve.look(move |serve| {
        let mut all = Vec::with_capacity(assets.len());
        for asset in assets {
            let offer = body.offer(&owner, asset, caller.is_operator());
            all.push(serve.preview(&caller, &owner, &offer, records.as_ref())?);
        }
        Ok(all)
    });
    let previews = previews.await?;
    Ok(ok(epoch, object(|out| out.array("previews", |items| previews.iter().for_each(|preview| items.json(preview))))))
}

impl Serve {
    /// What an offer would show, as JSON: `{"owner","asset","target","target_asset","profile","state"|"refused","detail"?,"streams":[…]}`.
    pub(crate) fn preview(
        &self,
        caller: &crate::access::Caller,
        owner: &str,
        offer: &OfferBody,
        records: Option<&Node>,
    ) -> Result<Vec<u8>, Problem> {
        let asset_id = |member: &str, text: &str| AssetId::parse(text).map_err(|error| Problem::of_member(member, error.to_string()));
        let tenant = |member: &str, text: &str| TenantId::parse(text).map_err(|error| Problem::of_member(member, error.to_string()));
        let asset = asset_id("asset", &offer.asset)?;
        let subject = OfferSubject {
            owner: tenant("owner", owner)?,
            target: offer.target_tenant.as_deref().map(|target| tenant("target_tenant", target)).transpose()?,
            target_asset: offer
                .target_asset
                .as_deref()
                .map(|text| asset_id("target_asset", text))
                .transpose()?
                .unwrap_or_else(|| asset.clone()),
            asset,
        };
        let streams: Vec<&Stream> = offer.streams.iter().filter_map(|name| self.config.stream(name)).collect();
        let order = WriteOrder::one(EventType::ShareOffered, &offer.asset, offer.data());
        let (would, detail) = self.would(caller, order)?;
        let state = self.published.load();
        let profile = match OfferedProfile::of(&state.table, owner, &offer.profile, &self.config) {
            Ok(profile) => profile,
            Err(PreviewError::Refused(reason)) => {
                return Err(Problem::broken(reason, detail.unwrap_or_else(|| reason.in_words().to_owned())));
            }
            Err(error) => return Err(Problem::new(409, error.to_string())),
        };
        if let Err(reason @ (Reason::UnknownStream | Reason::StreamNotInProfile)) = would {
            return Err(Problem::broken(reason, detail.unwrap_or_else(|| reason.in_words().to_owned())));
        }
        let share = subject.share(&offer.data(), &streams, profile.compiled(), state.table.control_time());
        let clock = self.clock.wall();
        let mut views = Vec::new();
        for stream in streams {
            let given =
                records.and_then(|records| records.get(stream.name.as_str())).map(|value| given(value, stream, owner, &offer.asset, clock));
            let found = match given {
                Some(record) => Some(FoundRecord { place: None, record }),
                None => self.newest_record(stream, owner, &offer.asset)?,
            };
            let original = found.as_ref().and_then(|found| found.record.value.clone());
            let seen = found.map(|found| PreviewedRecord::of(found, stream, &share, &profile, &self.config, clock)).transpose();
            let seen = seen.map_err(|error| match error {
                PreviewError::Refused(reason) => Problem::broken(reason, reason.in_words()),
                error => Problem::malformed(error.to_string()),
            })?;
            views.push((profile.view(stream, seen, &self.config), original));
        }
        let parties = Parties { owner, target: subject.shown_target(), target_asset: subject.target_asset.as_str() };
        let preview = OfferPreview { asset: subject.asset.as_str(), parties, profile: &profile, would };
        Ok(object(|out| {
            out.text("owner", owner);
            out.text("asset", subject.asset.as_str());
            out.text("target", subject.shown_target());
            out.text("target_asset", subject.target_asset.as_str());
            out.text("profile", &profile.name);
            match would {
                Ok(state) => out.text("state", state.word()),
                Err(reason) => out.text("refused", reason.code()),
            }
            out.text_if("detail", detail.as_deref());
            out.array("streams", |items| {
                for (view, original) in &views {
                    let with_record = super::listing::with_members(preview.to_json(view), |out| {
                        if let Some(original) = original.as_ref().filter(|original| document::parse(original).is_ok()) {
                            out.json("record", original);
                        }
                    });
                    items.json(&with_record);
                }
            });
        }))
    }
}

/// A record that was given by hand.
fn given(value: &Node, stream: &Stream, owner: &str, asset: &str, clock: TimestampMs) -> WholeRecord {
    let mut bytes = Vec::new();
    document::write(value, &mut bytes);
    WholeRecord::of_value(bytes, stream, owner, asset, clock)
}

/// Says why a record leaves or does not: for the operator any, by `partition` and `offset`; for an owner the newest of its `asset`, or
/// what would be; for a target the newest of the asset of its `share`.
#[utoipa::path(get, path = "/explain", tag = "looking", params(
    ("stream" = String, Query, description = "The stream"),
    ("partition" = Option<i32>, Query, description = "The record's partition, for the operator"),
    ("offset" = Option<i64>, Query, description = "The record's offset, for the operator"),
    ("asset" = Option<String>, Query, description = "The asset, in its owner's words"),
    ("owner" = Option<String>, Query, description = "Whose asset it is, for the operator"),
    ("share" = Option<String>, Query, description = "Of this share alone; a target names it instead of the asset"),
    ("target" = Option<String>, Query, description = "Of shares to this tenant alone"),
    ("time" = Option<String>, Query, description = "What would be: the event time; else the newest record"),
    ("at" = Option<String>, Query, description = "The moment to decide at, by the shares of then"),
    ("epoch" = Option<i64>, Query, description = "By the shares as they were after this control offset"), EpochParameters),
    responses((status = 200, description = "Each share, and the rule that decided", body = ExplanationDocument)))]
pub(super) async fn explain(asked: Asked) -> ApiAnswer {
    asked.knows(&["stream", "partition", "offset", "asset", "owner", "share", "target", "time", "at", "epoch"])?;
    let question = ExplainQuestion::of(&asked)?;
    let epoch = asked.view.epoch();
    let (audience, share, target) = (question.audience, question.share.clone(), question.target.clone());
    let mut explanation = asked.serve.look(move |serve| serve.answer_why(&question)).await?;
    let is_found = explanation.record.place.is_some();
    explanation.shares.retain(|explained| share.as_ref().is_none_or(|share| *share == explained.share));
    explanation.shares.retain(|explained| target.is_none() || explained.target == target);
    let value = match audience {
        Audience::Owner => explanation.to_json(),
        Audience::Target => explanation.to_json_for_target(),
    };
    let value = super::listing::with_members(value, |out| out.flag("found", is_found));
    Ok(ok(epoch, value))
}

/// What is asked.
struct ExplainQuestion {
    stream: String,
    subject: ExplainSubject,
    then: PointInTime,
    audience: Audience,
    /// Of this share alone.
    share: Option<String>,
    /// Of shares to this tenant alone.
    target: Option<String>,
}

enum ExplainSubject {
    At(RecordPlace),
    Newest { owner: String, asset: String },
    WouldBe { owner: String, asset: String, time: TimestampNs },
}

impl ExplainQuestion {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        let text = |name: &str| asked.parameter(name).map(|value| value.map(str::to_owned));
        let number = |name: &'static str| -> Result<Option<i64>, Problem> {
            let read = |text: &str| text.parse().ok().filter(|number| *number >= 0);
            asked
                .parameter(name)?
                .map(|text| read(text).ok_or_else(|| Problem::of_member(name, "it is a whole number from 0 on")))
                .transpose()
        };
        let moment = |name: &'static str| -> Result<Option<TimestampNs>, Problem> {
            let read = |text: &str| {
                TimestampNs::parse_rfc3339(text).ok_or_else(|| Problem::of_member(name, "it is a time such as 2026-12-01T09:00:00Z"))
            };
            asked.parameter(name)?.map(read).transpose()
        };
        let stream = text("stream")?.ok_or_else(|| Problem::of_member("stream", "name the stream"))?;
        if asked.serve.config.stream(&stream).is_none() {
            let what = format!("no stream of this name is read here; there are {}", asked.view.streams().join(", "));
            return Err(Problem { status: 404, ..Problem::of_member("stream", what) });
        }
        let (partition, offset, time) = (number("partition")?, number("offset")?, moment("time")?);
        let then = PointInTime { epoch: number("epoch")?.map(Offset), at: moment("at")?.map(TimestampNs::millis) };
        let (share, target) = (text("share")?, text("target")?);
        let question =
            |subject, audience| Self { stream: stream.clone(), subject, then, audience, share: share.clone(), target: target.clone() };
        if partition.is_some() || offset.is_some() {
            if !asked.caller.is_operator() {
                return Err(Problem::not_operator());
            }
            let (Some(partition), Some(offset)) = (partition.and_then(|number| i32::try_from(number).ok()), offset) else {
                return Err(Problem::of_member("offset", "a record has a partition and an offset"));
            };
            return Ok(question(ExplainSubject::At(RecordPlace { partition, offset: Offset(offset) }), Audience::Owner));
        }
        let (owner, asset, audience) = Self::whose(asked, share.as_deref())?;
        let subject = match time {
            Some(time) => ExplainSubject::WouldBe { owner, asset, time },
            None => ExplainSubject::Newest { owner, asset },
        };
        Ok(question(subject, audience))
    }

    /// Of which asset, and as whom the caller asks. A target names its share: the asset's id is the owner's.
    fn whose(asked: &Asked, share: Option<&str>) -> Result<(String, String, Audience), Problem> {
        let asset = asked.parameter("asset")?;
        let owner = asked.parameter("owner")?;
        match (asset, share) {
            (Some(asset), _) => {
                let owner = match (asked.caller.tenant(), owner) {
                    (Some(own), Some(named)) if named != own.as_str() => return Err(Problem::not_there()),
                    _ => owner_of(asked, owner)?,
                };
                Ok((owner, asset.to_owned(), Audience::Owner))
            }
            (None, Some(share)) => {
                let seen = asked.view.share(share).ok_or_else(Problem::unknown_share)?;
                let asset = asked.serve.asset_of_share(&asked.view, share).ok_or_else(Problem::unknown_share)?;
                Ok((seen.document().owner.to_owned(), asset, seen.audience()))
            }
            (None, None) => Err(Problem::of_member(
                "asset",
                "which record? Name the `asset`, or the `share`, or as the operator `partition` and `offset`",
            )),
        }
    }
}

impl Serve {
    fn answer_why(&self, question: &ExplainQuestion) -> Result<Explanation, Problem> {
        let stream = self.config.stream(&question.stream).ok_or_else(Problem::not_there)?;
        match &question.subject {
            ExplainSubject::At(place) => {
                let FoundRecord { place, record } = self.record_at(stream, *place)?;
                self.explain(question.then, |explainer, table, clock| explainer.record(table, stream, &record, place, clock))
            }
            ExplainSubject::Newest { owner, asset } => match self.newest_record(stream, owner, asset)? {
                Some(FoundRecord { place, record }) => {
                    self.explain(question.then, |explainer, table, clock| explainer.record(table, stream, &record, place, clock))
                }
                None => self.explain(question.then, |explainer, table, clock| {
                    explainer.would_be(table, stream, WouldBeRecord { owner, asset, time: clock.moment() }, clock)
                }),
            },
            ExplainSubject::WouldBe { owner, asset, time } => self.explain(question.then, |explainer, table, clock| {
                explainer.would_be(table, stream, WouldBeRecord { owner, asset, time: *time }, clock)
            }),
        }
    }
}

/// Shows a published profile on a record: one that is given, or the newest of an asset.
#[utoipa::path(post, path = "/profiles/{profile}/render", tag = "profiles", params(("profile" = String, Path, description = "The profile"), EpochParameters), request_body = RenderBody,
    responses((status = 200, description = "What leaves, member by member", body = RenderedDocument)))]
pub(super) async fn render_profile(asked: Asked, Id(name): Id, JsonNode(body, node): JsonNode<RenderBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let owner = owner_of(&asked, body.owner.as_deref())?;
    let (text, compiled) = if name == "all" {
        (ProfileText::default(), Profile::all(&asked.serve.config.streams))
    } else {
        let found = asked.view.profile(&owner, &name).ok_or_else(Problem::not_there)?;
        let spec = document::parse(found.spec).ok().and_then(|node| ProfileSpec::read(&node).ok()).ok_or_else(Problem::not_there)?;
        (ProfileText::of(&found), Profile::compile(&spec, &asked.serve.config.streams))
    };
    render(&asked, &owner, &body, node.get("record"), text, compiled).await
}

/// Shows a profile that is not published, or not yet as it is written here, on a record.
#[utoipa::path(post, path = "/profiles/render", tag = "profiles", params(EpochParameters), request_body = RenderBody,
    responses((status = 200, description = "What leaves, member by member", body = RenderedDocument)))]
pub(super) async fn render_draft(asked: Asked, JsonNode(body, node): JsonNode<RenderBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let owner = owner_of(&asked, body.owner.as_deref())?;
    let spec = draft_of(&asked, &node, body.source.as_deref())?;
    let compiled = Profile::compile(&spec, &asked.serve.config.streams);
    render(&asked, &owner, &body, node.get("record"), ProfileText::of_file(spec), compiled).await
}

/// A profile as a request brings it.
fn draft_of(asked: &Asked, node: &Node, source: Option<&str>) -> Result<ProfileSpec, Problem> {
    let written = match (node.get("spec").filter(|spec| !spec.is_null()), source) {
        (_, Some(source)) => of_source(asked, "source", source)?,
        (Some(spec), None) => spec.clone(),
        (None, None) => return Err(Problem::of_member("spec", "a profile has `spec`, or `source`")),
    };
    ProfileSpec::read(&written).map_err(|error| Problem::broken(Reason::InvalidProfile, error.what))
}

async fn render(asked: &Asked, owner: &str, body: &RenderBody, record: Option<&Node>, text: ProfileText, compiled: Profile) -> ApiAnswer {
    let stream =
        asked.serve.config.stream(&body.stream).ok_or_else(|| Problem::of_member("stream", "no stream of this name is read here"))?.clone();
    if compiled.section(stream.index).is_none() {
        return Err(Problem::broken(Reason::StreamNotInProfile, format!("the profile has no section for {}", stream.name)).into());
    }
    let clock = asked.serve.clock.wall();
    let found = match (record.filter(|record| !record.is_null()), &body.asset) {
        (Some(record), asset) => {
            let mut bytes = Vec::new();
            document::write(record, &mut bytes);
            let record = match asset {
                Some(asset) => WholeRecord::of_value(bytes, &stream, owner, asset, clock),
                None => WholeRecord { key: None, headers: Vec::new(), timestamp: clock, value: Some(bytes) },
            };
            Some(FoundRecord { place: None, record })
        }
        (None, Some(asset)) => {
            let (owner, asset, stream) = (owner.to_owned(), asset.clone(), stream.clone());
            asked.serve.look(move |serve| serve.newest_record(&stream, &owner, &asset)).await?
        }
        (None, None) => return Err(Problem::of_member("record", "give a `record`, or an `asset` whose newest is shown").into()),
    };
    let Some(FoundRecord { place, record }) = found else {
        return Ok(ok(asked.view.epoch(), object(|out| out.null("value"))));
    };
    let Some(projection) = compiled.section(stream.index) else { return Err(Problem::not_there().into()) };
    let secret = asked.serve.config.mask_secret.as_ref().map(Secret::expose);
    let mut projector = RecordProjector::new(&stream, projection, &text, asked.serve.config.release_rules().read, secret);
    let rendered = projector.show(&record);
    let value = object(|out| {
        if let Some(place) = place {
            out.number("partition", place.partition);
            out.number("offset", place.offset.0);
        }
        if let Some(value) = record.value.as_deref().filter(|value| document::parse(value).is_ok()) {
            out.json("record", value);
        }
        match &rendered {
            Ok(shown) => {
                out.json("value", if shown.filtered.is_none() { &shown.value } else { b"null" });
                out.flag("filtered", shown.filtered.is_some());
                out.text_if("condition_error", shown.filtered.flatten().map(|error| error.to_string()).as_deref());
                out.json("members", &members_to_json(&shown.members));
            }
            Err(refusal) => {
                out.null("value");
                out.object("dead", |out| {
                    out.text("reason", refusal.reason.as_str());
                    out.text("message", &refusal.to_string());
                });
            }
        }
    });
    Ok(ok(asked.view.epoch(), value))
}

/// Says which shares gain or lose which members if a profile is published as it is written here, on the newest records of up to ten
/// assets. Nothing is written.
#[utoipa::path(post, path = "/profiles/{profile}/preview", tag = "profiles", params(("profile" = String, Path, description = "The profile"), EpochParameters), request_body = PublicationBody,
    responses((status = 200, description = "Each share and stream that uses it", body = PublicationDocument)))]
pub(super) async fn preview_publication(asked: Asked, Id(name): Id, JsonNode(body, node): JsonNode<PublicationBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let owner = owner_of(&asked, body.owner.as_deref())?;
    let spec = draft_of(&asked, &node, body.source.as_deref())?;
    let epoch = asked.view.epoch();
    let serve = Arc::clone(&asked.serve);
    let lines = serve.look(move |serve| {
        let state = serve.published.load();
        let before = ComparedProfile::of(&state.table, &owner, &name, &serve.config);
        let critical = crate::disclosure::of_profile(&serve.config, &spec);
        let after = ComparedProfile::new(spec, &serve.config);
        let mut users = users(&state.table, &owner, &name, &serve.config);
        let left_out =
            look(&serve.config, &mut users, before.as_ref(), &after, |stream, asset| serve.newest_record(stream, &owner, asset))?;
        Ok(object(|out| {
            out.flag("is_new", before.is_none());
            out.array("changes", |items| users.iter().for_each(|user| items.json(&to_json(user))));
            out.number("assets_left_out", left_out as i64);
            out.texts("critical", critical.iter().map(String::as_str));
        }))
    });
    Ok(ok(epoch, lines.await?))
}

impl Serve {
    /// To which state an order for one item leads, or which rule it breaks, with the sentence. Nothing is written, so a viewer may ask.
    pub(crate) fn would(
        &self,
        caller: &crate::access::Caller,
        order: WriteOrder,
    ) -> Result<(Result<State, Reason>, Option<String>), Problem> {
        let trial = self.try_here(caller, order)?;
        match (trial.refusals.first(), trial.rows.first()) {
            (Some(refusal), _) => match refusal.reason {
                Some(reason) => Ok((Err(reason), Some(refusal.detail.clone()))),
                None => Err(Problem::malformed(refusal.detail.clone())),
            },
            (None, row) => {
                Ok((Ok(row.and_then(|row| row.change.as_ref()).and_then(|change| change.after).unwrap_or(State::Pending)), None))
            }
        }
    }

    /// The owner's asset of a share that the caller sees: it is looked at, and not shown to a target.
    fn asset_of_share(&self, view: &crate::serve::view::CallerView, share: &str) -> Option<String> {
        view.share(share)?;
        view.state().table.share(share)?.document().asset.map(str::to_owned)
    }
}
