//! What a profile makes of one record, member by member, by the projector's own walk. Nothing is decided here.

use std::collections::HashMap;

use crate::console::pages::leaves::{LeavingExample, LeavingMember, RecordLine};
use crate::document::{DocumentKind, Node, yaml};
use crate::explain::members::{ProfileText, members};
use crate::explain::record::WholeRecord;
use crate::json::document;
use crate::profile::compile::Projection;
use crate::profile::condition::ShareFacts;
use crate::profile::parties::Parties;
use crate::profile::preview::push_name;
use crate::profile::project::Projector;
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::Stream;
use crate::share::state::Permission;
use crate::time::TimestampNs;

/// A record, and for whom it is projected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvaluatedRecord<'e> {
    pub(crate) stream: &'e Stream,
    pub(crate) record: &'e WholeRecord,
    pub(crate) at: Option<TimestampNs>,
    pub(crate) owner: &'e str,
    pub(crate) asset: &'e str,
    pub(crate) target: &'e str,
    pub(crate) target_asset: &'e str,
}

/// As a section of a profile shows the record.
pub(crate) fn evaluate(
    asked: EvaluatedRecord<'_>,
    profile: &str,
    projection: Option<&Projection>,
    text: &ProfileText,
    mask_secret: Option<&[u8]>,
) -> LeavingExample {
    let stream = asked.stream.name.to_string();
    let bytes = asked.record.value.as_deref().unwrap_or_default();
    let mut shown = LeavingExample {
        stream: stream.clone(),
        profile: profile.to_owned(),
        at: asked.at,
        before: None,
        after: None,
        members: Vec::new(),
        note: None,
    };
    let Some(projection) = projection else {
        shown.before = Some(record_lines(bytes, &[]));
        shown.note = Some(format!("The profile has no section for {stream}: nothing of it leaves."));
        return shown;
    };
    let mut projector = Projector::new(mask_secret);
    if let Err(error) = projector.load(bytes) {
        shown.before = Some(record_lines(bytes, &[]));
        shown.note = Some(format!("The record is no JSON that can be read: {error}"));
        return shown;
    }
    let facts = ShareFacts {
        id: "preview",
        owner: asked.owner,
        target: asked.target,
        asset: asked.asset,
        target_asset: asked.target_asset,
        permission: Permission::View.word(),
        label: None,
    };
    let parties = Parties { owner: asked.owner, target: asked.target, target_asset: asked.target_asset };
    let trace = projector.trace(bytes, projection, &parties);
    let found = members(bytes, projector.tape(), &trace, text, &stream);
    shown.members = found
        .into_iter()
        .map(|member| LeavingMember {
            path: member.path,
            outcome: member.outcome,
            by: match member.action {
                Some(action) => format!("{action}, by {}", member.by),
                None => member.by,
            },
            line: member.place.map(|place| place.line as usize),
        })
        .collect();
    shown.before = Some(record_lines(bytes, &shown.members));
    match projection.condition.as_ref().map(|condition| condition.holds(bytes, projector.tape(), &facts)) {
        None | Some(Ok(true)) => {
            let mut out = Vec::new();
            projector.project(bytes, projection, &parties, None, &mut out);
            shown.after = Some(pretty(&out));
        }
        Some(Ok(false)) => shown.note = Some("The profile's condition is not true of this record, so nothing of it leaves.".to_owned()),
        Some(Err(error)) => {
            shown.note = Some(format!("The profile's condition has no value for this record ({error}), so nothing leaves."))
        }
    }
    shown
}

/// A record with line breaks, and what becomes of each line: what was decided of a container is so of all inside it.
fn record_lines(bytes: &[u8], members: &[LeavingMember]) -> Vec<RecordLine> {
    let Ok(node) = document::parse(bytes) else {
        let line = |text: &str| RecordLine { text: text.to_owned(), outcome: None, why: String::new() };
        return String::from_utf8_lossy(bytes).lines().map(line).collect();
    };
    let by_path = members.iter().map(|member| (member.path.as_str(), member)).collect();
    let mut lister = LineLister { by_path, lines: Vec::new() };
    lister.value(&node, "$", "", "", 0, None);
    lister.lines
}

struct LineLister<'m> {
    by_path: HashMap<&'m str, &'m LeavingMember>,
    lines: Vec<RecordLine>,
}

impl<'m> LineLister<'m> {
    fn line(&mut self, depth: usize, text: &str, of: Option<&LeavingMember>) {
        let why = of.map(|member| {
            let line = member.line.map(|line| format!(", line {line} of the profile")).unwrap_or_default();
            format!("{}: {}{line}", member.outcome.word(), member.by)
        });
        self.lines.push(RecordLine {
            text: format!("{}{text}", "  ".repeat(depth)),
            outcome: of.map(|member| member.outcome),
            why: why.unwrap_or_default(),
        });
    }

    fn value(&mut self, node: &Node, path: &str, before: &str, after: &str, depth: usize, above: Option<&'m LeavingMember>) {
        let of = self.by_path.get(path).copied().or(above);
        let (open, close) = match &node.kind {
            DocumentKind::Map(members) if !members.is_empty() => ("{", "}"),
            DocumentKind::List(items) if !items.is_empty() => ("[", "]"),
            _ => {
                let mut text = Vec::new();
                document::write_pretty(node, 0, &mut text);
                return self.line(depth, &format!("{before}{}{after}", String::from_utf8_lossy(&text)), of);
            }
        };
        self.line(depth, &format!("{before}{open}"), of);
        let comma = |at: usize, count: usize| if at + 1 < count { "," } else { "" };
        for (at, member) in node.members().iter().enumerate() {
            let mut path = path.to_owned();
            push_name(&mut path, &member.name);
            let mut name = Vec::new();
            document::write_pretty(&Node { kind: DocumentKind::String(member.name.clone()), place: member.place }, 0, &mut name);
            let name = format!("{}: ", String::from_utf8_lossy(&name));
            self.value(&member.value, &path, &name, comma(at, node.members().len()), depth + 1, of);
        }
        let items = node.as_list().unwrap_or_default();
        for (at, item) in items.iter().enumerate() {
            self.value(item, &format!("{path}[{at}]"), "", comma(at, items.len()), depth + 1, of);
        }
        self.line(depth, &format!("{close}{after}"), of);
    }
}

/// JSON with line breaks; what is none as it is.
pub(crate) fn pretty(bytes: &[u8]) -> String {
    match document::parse(bytes) {
        Ok(node) => {
            let mut out = Vec::new();
            document::write_pretty(&node, 0, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A profile as it is typed, in YAML or JSON.
pub(crate) fn read_profile(source: &str) -> Result<(crate::document::Node, ProfileSpec), (Option<usize>, String)> {
    let node = match yaml::parse(source) {
        Ok(node) => node,
        Err(error) => return Err((Some(error.place.line as usize), error.what)),
    };
    if node.is_null() {
        return Err((
            None,
            "There is nothing yet. Begin with a stream and what leaves of it, as `telemetry: { include: [$.position] }`.".to_owned(),
        ));
    }
    let spec = ProfileSpec::read(&node).map_err(|error| (Some(error.place.line as usize), error.what))?;
    Ok((node, spec))
}
