//! From what was written to a `Config`.

use super::api;
use super::engine::{self, Delivery};
use super::kafka;
use super::mail;
use super::output::{OnRouteFailure, OutputConfig, OutputTemplate};
use super::shape;
use super::streams;
use super::streams::ResolvedStream;
use super::topics;
use super::topics::NamedTopics;
use super::written::{ConfigKind, ConfigValue, Findings};
use super::{Config, ConfigEnv, ProvenanceForm, Secret};
use crate::id::StreamName;
use crate::record::mapping::{FieldSource, Mode, Stream};
use crate::share::configuration::PartnershipNeed;
use crate::time::Period;

/// How long tombstones are kept unless `output.tombstones` says otherwise: thirty days.
const TOMBSTONES: Period = Period::from_millis(30 * 86_400_000);

/// The configuration without its warnings; none only if an error was noted.
pub(super) fn resolve(root: &ConfigValue, around: &ConfigEnv<'_>, findings: &mut Findings) -> Option<Config> {
    let (mut streams, mut starts, mut critical) = (Vec::new(), Vec::new(), Vec::new());
    for ResolvedStream { stream, start, critical: paths } in streams::resolve(root, findings) {
        streams.push(stream);
        starts.push(start);
        critical.push(paths);
    }
    let topics = topics::resolve(root, findings);
    let kafka = kafka::resolve(root, around, topics.prefix(), findings);
    let fence = engine::fence(root, &kafka, findings);
    let control = engine::control(root, &topics.control, findings);
    let provenance = match engine::word(root, "provenance") {
        Some("headers") => ProvenanceForm::Headers,
        Some("none") => ProvenanceForm::Nowhere,
        _ => ProvenanceForm::Payload,
    };
    let output = output(root, &streams, provenance, topics.prefix(), findings);
    let named = NamedTopics { own: &topics, control: &control.topic, streams: &streams };
    topics::check(root, &named, output.as_ref().map(|output| &output.topics), findings);
    let api = api::resolve(root, &streams, findings);
    Some(Config {
        mail: mail::resolve(root, api.public_url.as_deref(), findings),
        api,
        partnerships: engine::word(root, "partnerships").and_then(PartnershipNeed::parse).unwrap_or(PartnershipNeed::Required),
        late_grace: engine::span_or(root, "late_grace", Period::ZERO),
        max_future: engine::span_or(root, "max_future", Period::from_millis(300_000)),
        max_record_bytes: engine::whole_or(root, "max_record_bytes", 1 << 20) as usize,
        provenance,
        provenance_permission: provenance_permission(root, provenance, findings),
        delivery: delivery(root, &streams, findings),
        mask_secret: root.at("mask.secret").and_then(ConfigValue::as_text).map(|text| Secret(text.to_owned())),
        kafka,
        workers: engine::whole_or(root, "workers", 2) as usize,
        batch: engine::batch(root, &fence, findings),
        control,
        topics,
        fence,
        output: output?,
        snapshot: engine::snapshot(root),
        http_listen: engine::http_listen(root, findings),
        tenant_labels: engine::tenant_labels(root, findings),
        log: engine::log(root),
        warnings: Vec::new(),
        streams: streams.into(),
        starts: starts.into(),
        critical: critical.into(),
    })
}

fn delivery(root: &ConfigValue, streams: &[Stream], findings: &mut Findings) -> Delivery {
    let Some(("at_least_once", value)) = engine::word(root, "delivery").zip(root.at("delivery")) else { return Delivery::ExactlyOnce };
    if streams.iter().all(|stream| stream.mode == Mode::Upsert) {
        findings.warn(
            value.spot,
            "`delivery: at_least_once` changes nothing: it is for append streams, and there are none",
            "leave the key out",
        );
    }
    Delivery::AtLeastOnce
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

fn output(
    root: &ConfigValue,
    streams: &[Stream],
    provenance: ProvenanceForm,
    prefix: &str,
    findings: &mut Findings,
) -> Option<OutputConfig> {
    let replication = engine::whole_or(root, "output.replication", -1);
    if let (0, Some(value)) = (replication, root.at("output.replication")) {
        findings.error(value.spot, "`output.replication` cannot be 0", "write the number of replicas, or `-1` for the brokers' default");
    }
    Some(OutputConfig {
        is_auto_provisioned: engine::word(root, "output.provision") != Some("manual"),
        partitions: engine::whole_or(root, "output.partitions", 1) as i32,
        replication: i16::try_from(replication).ok().filter(|count| *count > 0),
        retention: root.at("output.retention").and_then(shape::span),
        tombstones: engine::span_or(root, "output.tombstones", TOMBSTONES),
        headers: headers(root, streams, provenance, findings),
        on_route_failure: match engine::word(root, "output.on_route_failure") {
            Some("dead_letter") => OnRouteFailure::DeadLetter,
            _ => OnRouteFailure::Wait,
        },
        topics: template(root, streams, prefix, findings)?,
    })
}

fn template(root: &ConfigValue, streams: &[Stream], prefix: &str, findings: &mut Findings) -> Option<OutputTemplate> {
    let Some(value) = root.at("output.topic") else {
        let template = OutputTemplate::standard();
        topics::refuse_own(template.prefix(), "output.topic", root, prefix, findings);
        return Some(template);
    };
    let names: Vec<StreamName> = match root.get("streams") {
        // A stream that could not be resolved counts all the same, or a template would seem right that is not.
        Some(written) => written.entries().iter().filter_map(|entry| StreamName::parse(&entry.name).ok()).collect(),
        None => streams.iter().map(|stream| stream.name.clone()).collect(),
    };
    match OutputTemplate::parse(value.as_text()?, &names, prefix) {
        Ok(template) => Some(template),
        Err(wrong) => {
            topics::tell_template(value, wrong, "write for example `share.{tenant}.{stream}`", findings);
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
