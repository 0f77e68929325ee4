//! A sharing profile as text: what it says, or what is wrong with it, with its place.

use super::diagnostic::{Diagnostic, Secrets, place_inside};
use super::{Config, read_document};
use crate::document::{DocumentKind, Node, TextPosition};
use crate::json;
use crate::profile::spec::ProfileSpec;

/// Reads a profile that is called `name` in errors; with a configuration also for its streams.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(name: &str, text: &str, config: Option<&Config>) -> Result<(Node, ProfileSpec), Diagnostic> {
    let node = read_document(name, text)?;
    let mode = |stream: &str| config?.stream(stream).map(|stream| stream.mode);
    let spec = ProfileSpec::read(&node).and_then(|spec| spec.check_modes(mode).map(|()| spec)).map_err(|e| {
        let place = if e.at > 0 { place_inside(text, e.place, e.at) } else { place_in_path(&node, text, e.place) };
        Diagnostic::in_text(name, text, place, &Secrets::default(), e.what, String::new())
    })?;
    Ok((node, spec))
}

/// The offending character, if what stands at the place is a path that cannot be read; else the place.
fn place_in_path(node: &Node, text: &str, place: TextPosition) -> TextPosition {
    let wrong = string_at(node, place).filter(|path| path.starts_with('$')).and_then(|path| json::path::Path::parse(path).err());
    wrong.map_or(place, |wrong| place_inside(text, place, wrong.at))
}

fn string_at(node: &Node, place: TextPosition) -> Option<&str> {
    match &node.kind {
        DocumentKind::String(text) if node.place == place => Some(text),
        DocumentKind::List(items) => items.iter().find_map(|item| string_at(item, place)),
        DocumentKind::Map(members) => members.iter().find_map(|member| string_at(&member.value, place)),
        _ => None,
    }
}
