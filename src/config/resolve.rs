//! From what was written to a `Config`.

use super::engine::{self, Delivery};
use super::kafka;
use super::output::{OnRouteFailure, OutputConfig, OutputTemplate};
use super::shape;
use super::streams;
use super::written::{ConfigKind, ConfigValue, Findings, Spot};
use super::{Config, ConfigEnv, ProvenanceForm, Secret};
use crate::id::StreamName;
use crate::record::mapping::{FieldSource, Mode, Stream};
use crate::share::configuration::PartnershipNeed;
use crate::time::Period;
use crate::topic;

/// The configuration without its warnings; none only if an error was noted.
pub(super) fn resolve(root: &ConfigValue, around: &ConfigEnv<'_>, findings: &mut Findings) -> Option<Config> {
    let (streams, starts): (Vec<_>, Vec<_>) = streams::resolve(root, findings).into_iter().unzip();
    let kafka = kafka::resolve(root, around, findings);
    let fence = engine::fence(root, &kafka, findings);
    let control = engine::control(root, findings);
    let provenance = match engine::word(root, "provenance") {
        Some("headers") => ProvenanceForm::Headers,
        Some("none") => ProvenanceForm::Nowhere,
        _ => ProvenanceForm::Payload,
    };
    let output = output(root, &streams, provenance, findings);
    check_topics(root, &streams, &control.topic, output.as_ref(), findings);
    Some(Config {
        partnerships: engine::word(root, "partnerships").and_then(PartnershipNeed::parse).unwrap_or(PartnershipNeed::Required),
        late_grace: engine::span_or(root, "late_grace", Period::ZERO),
        max_future: engine::span_or(root, "max_future", Period::from_millis(300_000)),
        max_record_bytes: engine::whole_or(root, "max_record_bytes", 1 << 20) as usize,
        provenance,
        provenance_permission: provenance_permission(root, provenance, findings),
        delivery: match engine::word(root, "delivery") {
            Some("at_least_once") => Delivery::AtLeastOnce,
            _ => Delivery::ExactlyOnce,
        },
        mask_secret: root.at("mask.secret").and_then(ConfigValue::as_text).map(|text| Secret(text.to_owned())),
        kafka,
        workers: engine::whole_or(root, "workers", 2) as usize,
        batch: engine::batch(root, &fence, findings),
        control,
        fence,
        output: output?,
        snapshot: engine::snapshot(root),
        http_listen: engine::http_listen(root, findings),
        tenant_labels: engine::tenant_labels(root, findings),
        log: engine::log(root),
        warnings: Vec::new(),
        streams: streams.into(),
        starts: starts.into(),
    })
}

fn provenance_permission(root: &ConfigValue, provenance: ProvenanceForm, findings: &mut Findings) -> bool {
    let is_on = root.at("provenance_permission").and_then(shape::flag).unwrap_or(false);
    if let (true, ProvenanceForm::Nowhere, Some(value)) = (is_on, provenance, root.at("provenance_permission")) {
        findings.warn(
            value.spot,
            "`provenance: none` shows no permission either",
            "write `provenance: payload` or `headers`, or leave this out",
        );
    }
    is_on
}

fn output(root: &ConfigValue, streams: &[Stream], provenance: ProvenanceForm, findings: &mut Findings) -> Option<OutputConfig> {
    let replication = engine::whole_or(root, "output.replication", -1);
    if let (0, Some(value)) = (replication, root.at("output.replication")) {
        findings.error(value.spot, "`output.replication` cannot be 0", "write the number of replicas, or `-1` for the brokers' default");
    }
    if let (Some("at_least_once"), Some(value)) = (engine::word(root, "delivery"), root.at("delivery")) {
        findings.warn(value.spot, "`delivery: at_least_once` is not in this version: `run` refuses it".to_owned(), "leave the key out");
    }
    Some(OutputConfig {
        is_auto_provisioned: engine::word(root, "output.provision") != Some("manual"),
        partitions: engine::whole_or(root, "output.partitions", 1) as i32,
        replication: i16::try_from(replication).ok().filter(|count| *count > 0),
        retention: root.at("output.retention").and_then(shape::span),
        headers: headers(root, streams, provenance, findings),
        on_route_failure: match engine::word(root, "output.on_route_failure") {
            Some("dead_letter") => OnRouteFailure::DeadLetter,
            _ => OnRouteFailure::Wait,
        },
        topics: template(root, streams, findings)?,
    })
}

fn template(root: &ConfigValue, streams: &[Stream], findings: &mut Findings) -> Option<OutputTemplate> {
    let Some(value) = root.at("output.topic") else { return Some(OutputTemplate::standard()) };
    let names: Vec<StreamName> = match root.get("streams") {
        // A stream that could not be resolved counts all the same, or a template would seem right that is not.
        Some(written) => written.entries().iter().filter_map(|entry| StreamName::parse(&entry.name).ok()).collect(),
        None => streams.iter().map(|stream| stream.name.clone()).collect(),
    };
    match OutputTemplate::parse(value.as_text()?, &names) {
        Ok(template) => Some(template),
        Err(e) => {
            let text = findings.sources[value.spot.source].text.as_deref();
            let place = value.spot.place.map(|place| text.map_or(place, |text| super::diagnostic::place_inside(text, place, e.at)));
            findings.error(Spot { place, ..value.spot }, e.what, "write for example `share.{tenant}.{stream}`");
            None
        }
    }
}

/// The allow-list. A header that names the owner's tenant or asset would tell the target what its own id hides.
fn headers(root: &ConfigValue, streams: &[Stream], provenance: ProvenanceForm, findings: &mut Findings) -> Vec<String> {
    let Some(ConfigValue { kind: ConfigKind::List(items), .. }) = root.at("output.headers") else { return Vec::new() };
    let identity: Vec<&str> = streams
        .iter()
        .flat_map(|stream| [&stream.mapping.tenant, &stream.mapping.asset])
        .filter_map(|source| match source {
            FieldSource::Header(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let mut headers = Vec::new();
    for item in items {
        let Some(name) = item.as_text() else { continue };
        if identity.contains(&name) {
            findings.error(item.spot, "this header names the owner's tenant or asset, which targets must not see", "remove it");
        } else if provenance == ProvenanceForm::Headers && name.starts_with("ce_") {
            findings.error(item.spot, "`ce_` headers are written by `provenance: headers`", "remove it");
        }
        headers.push(name.to_owned());
    }
    headers
}

/// Topics that are one to Kafka: two inputs, an input and the engine's own, a tenant's and its status.
fn check_topics(root: &ConfigValue, streams: &[Stream], control: &str, output: Option<&OutputConfig>, findings: &mut Findings) {
    let mut known: Vec<(String, String)> = topic::OWN.map(|name| (name.to_owned(), name.to_owned())).to_vec();
    let upserts = streams.iter().filter(|stream| stream.mode == Mode::Upsert);
    known.extend(upserts.map(|stream| topic::standing_topic(&stream.name)).map(|name| (name.clone(), name)));
    let control_spot = root.at("control.topic").map(|value| value.spot);
    let inputs = streams.iter().map(|stream| (format!("the input of `{}`", stream.name), stream.topic.as_str(), topic_spot(root, stream)));
    for (what, name, spot) in [("the control topic".to_owned(), control, control_spot)].into_iter().chain(inputs) {
        let same = known.iter().find(|(_, other)| topic::in_metrics(other) == topic::in_metrics(name));
        if let (Some((other, _)), Some(spot)) = (same, spot.or(control_spot)) {
            findings.error(
                spot,
                format!("{what} and {other} are one topic to Kafka, where `.` and `_` count alike"),
                "choose another topic",
            );
        }
        known.push((what, name.to_owned()));
    }
    let Some(output) = output else { return };
    let Some(written) = root.at("output.topic").or_else(|| root.get("streams")).map(|value| value.spot) else { return };
    for stream in streams {
        check_outputs(&output.topics, stream.name.as_str(), &known, written, findings);
    }
}

fn check_outputs(template: &OutputTemplate, stream: &str, known: &[(String, String)], written: Spot, findings: &mut Findings) {
    if template.is_status_topic(stream) {
        findings.error(
            written,
            format!("outputs of `{stream}` would go to the status topics, `share.<tenant>.shares`"),
            "choose another template",
        );
    } else if template.can_be_status_topic(stream) {
        findings.warn(
            written,
            "the topic of a tenant called `shares` would be another tenant's status topic",
            "write for example `share.{tenant}.{stream}`",
        );
    }
    for (what, name) in known {
        if template.can_be(stream, name) {
            findings.warn(written, format!("a tenant's topic of `{stream}` can be {what}, {name}"), "choose another template");
        }
    }
}

fn topic_spot(root: &ConfigValue, stream: &Stream) -> Option<Spot> {
    root.get("streams")?.get(stream.name.as_str())?.get("topic").map(|value| value.spot)
}
