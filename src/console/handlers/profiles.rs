//! Sharing profiles: the list, the editor, publishing and retiring.

use std::sync::Arc;

use crate::config::Secret;
use crate::console::ask::{Ask, Reply};
use crate::console::desk::Desk;
use crate::console::evaluate::{EvaluatedRecord, evaluate, pretty, read_profile};
use crate::console::handlers::{said, sentence};
use crate::console::model::query;
use crate::console::newest::newest;
use crate::console::pages::profiles::{EditorPreview, ProfileEditor, ProfileRow, edit as edit_of, list as list_of, rendered};
use crate::console::parts::Choice;
use crate::console::shell::PagePlace;
use crate::disclosure;
use crate::explain::members::ProfileText;
use crate::explain::record::WholeRecord;
use crate::json::document;
use crate::profile::compile::Profile;
use crate::profile::spec::ProfileSpec;
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::event::kind::EventType;
use crate::time::TimestampMs;

pub(crate) fn list(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    let row = |profile: crate::share::table::query::ProfileView<'_>| {
        let spec = document::parse(profile.spec).ok().and_then(|node| ProfileSpec::read(&node).ok());
        ProfileRow {
            owner: profile.owner.to_owned(),
            name: profile.name.to_owned(),
            revision: profile.revision,
            is_retired: profile.is_retired,
            streams: desk.streams(view).into_iter().filter(|stream| spec.as_ref().is_some_and(|spec| spec.has_section(stream))).collect(),
            shares: view.users_of(&profile),
        }
    };
    let rows: Vec<ProfileRow> = view.profiles().into_iter().map(row).collect();
    let body = list_of(&rows, ask.may_write(), ask.caller().is_operator(), said(desk, ask, view).as_ref());
    Reply::page("Sharing profiles", PagePlace::Profiles, body)
}

const BEGINNING: &str = "telemetry:\n  include:\n    - $.position\n  # exclude: [$.position.altitude]\n  # transform:\n  #   - { path: $.position.lat, round: 3 }\n";

/// The editor with what is published, or what is typed.
fn editor(desk: &Desk, ask: &Ask, view: &CallerView) -> ProfileEditor {
    let owner = ask.owner().unwrap_or_default();
    let name = ask.fields.text("name");
    let published = view.profile(&owner, &name);
    let text = |profile: &crate::share::table::query::ProfileView<'_>| profile.source.map_or_else(|| pretty(profile.spec), str::to_owned);
    let streams = desk.streams(view);
    let wanted = ask.fields.text("stream");
    let stream =
        streams.iter().find(|stream| **stream == wanted).or(streams.iter().find(|stream| *stream == "telemetry")).or(streams.first());
    let assets = desk.assets(view, &owner, "", None, 200);
    let asset = Some(ask.fields.text("asset"))
        .filter(|asset| !asset.is_empty())
        .or_else(|| assets.first().map(|(asset, _)| asset.clone()))
        .unwrap_or_default();
    let source = match (ask.fields.has("source"), &published) {
        (true, _) => ask.fields.raw("source").to_owned(),
        (false, Some(profile)) => text(profile),
        (false, None) => BEGINNING.to_owned(),
    };
    ProfileEditor {
        shares: published.as_ref().map_or(0, |profile| view.users_of(profile)),
        revision: published.as_ref().map(|profile| profile.revision),
        is_retired: published.as_ref().is_some_and(|profile| profile.is_retired),
        owner: ask.owner_in_address().unwrap_or_default(),
        name,
        source,
        stream: stream.cloned().unwrap_or_default(),
        streams,
        record: ask.fields.raw("record").to_owned(),
        asset,
        assets: assets.into_iter().map(|(asset, names)| Choice::new(asset, names.line())).collect(),
        error: None,
        ticks: Vec::new(),
        may_write: ask.may_write(),
        is_operator: ask.caller().is_operator(),
    }
}

/// What the profile that is typed makes of the record that is typed.
fn preview(desk: &Desk, owner: &str, editor: &ProfileEditor) -> EditorPreview {
    let (_, spec) = match read_profile(&editor.source) {
        Ok(read) => read,
        Err((line, what)) => return EditorPreview::Broken { line, what },
    };
    let config = desk.config();
    let Some(stream) = config.stream(&editor.stream) else { return EditorPreview::NoRecord("There is no such stream.".to_owned()) };
    if editor.record.trim().is_empty() {
        return EditorPreview::NoRecord(
            "Paste a record on the left, or choose an asset that has reported: what would leave of it shows here as you type.".to_owned(),
        );
    }
    let record = WholeRecord::of_value(editor.record.trim().as_bytes().to_vec(), stream, owner, &editor.asset, TimestampMs(0));
    let compiled = Profile::compile(&spec, &config.streams);
    let critical = disclosure::of_profile(config, &spec);
    let text = ProfileText::of_file(spec);
    let asked =
        EvaluatedRecord { stream, record: &record, at: None, owner, asset: &editor.asset, target: "target", target_asset: "their-id" };
    let example = evaluate(asked, &editor.name, compiled.section(stream.index), &text, config.mask_secret.as_ref().map(Secret::expose));
    EditorPreview::Shown { example, critical }
}

pub(crate) async fn edit(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let mut editor = editor(desk, ask, view);
    let owner = ask.owner().unwrap_or_default();
    if let (true, Some(stream)) = (editor.record.is_empty() && !editor.asset.is_empty(), desk.config().stream(&editor.stream)) {
        let found = newest(&desk.serve, stream, &owner, &editor.asset).await?;
        editor.record = found.and_then(|found| found.record.value).map(|value| pretty(&value)).unwrap_or_default();
    }
    Ok(shown(desk, ask, &owner, &editor))
}

fn shown(desk: &Desk, ask: &Ask, owner: &str, editor: &ProfileEditor) -> Reply {
    let title = if editor.revision.is_some() { editor.name.clone() } else { "New profile".to_owned() };
    Reply::page(title, PagePlace::Profiles, edit_of(editor, &preview(desk, owner, editor), &ask.seal(desk)))
}

/// The same without a script.
pub(crate) fn show(desk: &Desk, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    Ok(shown(desk, ask, &ask.owner().unwrap_or_default(), &editor(desk, ask, view)))
}

/// The right side alone, as one types.
pub(crate) fn render(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    Reply::fragment(rendered(&preview(desk, &ask.owner().unwrap_or_default(), &editor(desk, ask, view))))
}

pub(crate) async fn publish(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let mut editor = editor(desk, ask, view);
    let owner = ask.owner().unwrap_or_default();
    let (node, spec) = match read_profile(&editor.source) {
        Ok(read) => read,
        Err((line, what)) => {
            editor.error = Some(line.map_or(what.clone(), |line| format!("line {line}: {what}")));
            return Ok(shown(desk, ask, &owner, &editor));
        }
    };
    let critical = disclosure::of_profile(desk.config(), &spec);
    if !critical.is_empty() && ask.fields.all("critical").len() < critical.len() {
        editor.error = Some("Members that are marked critical would leave. Tick each below, or leave it out of the profile.".to_owned());
        editor.ticks = critical;
        return Ok(shown(desk, ask, &owner, &editor));
    }
    let data = DataBuilder::default()
        .text("profile", &editor.name)
        .text_if("owner", ask.owner_in_address().as_deref())
        .member("spec", node.kind)
        .text("source", &editor.source)
        .build();
    let order = WriteOrder::one(EventType::ProfilePublished, &editor.name, data).confirmed(true);
    match desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single) {
        Ok(_) => Ok(Reply::see("/profiles?done=published")),
        Err(problem) => {
            editor.error = Some(sentence(&problem));
            Ok(shown(desk, ask, &owner, &editor))
        }
    }
}

pub(crate) async fn retire(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    let name = ask.fields.text("name");
    let data = DataBuilder::default().text("profile", &name).text_if("owner", ask.owner_in_address().as_deref()).build();
    let order = WriteOrder::one(EventType::ProfileRetired, &name, data);
    desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single)?;
    Ok(Reply::see(format!("/profiles{}", query(&[("done", "retired")]))))
}
