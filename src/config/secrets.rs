//! What of a configuration document must not be shown.

use super::diagnostic::{Secrets, is_secret_name};
use super::kafka::spelling::{SECTIONS, Taken, looks_secret};
use super::{ConfigEnv, keys};
use crate::document::{DocumentKind, Node};

/// What must not be shown of a document: everything under `mask`, under a key whose name says so, under one that is not known,
/// and of librdkafka's settings what is not known for harmless.
pub(super) fn secrets_of(root: &Node, around: &ConfigEnv<'_>) -> Secrets {
    let mut secrets = Secrets::default();
    collect_secrets(root, &mut Vec::new(), false, around, &mut secrets);
    secrets
}

fn collect_secrets<'n>(node: &'n Node, names: &mut Vec<&'n str>, is_secret: bool, around: &ConfigEnv<'_>, into: &mut Secrets) {
    match &node.kind {
        DocumentKind::String(text) | DocumentKind::Number(text) if is_secret => {
            into.begins.push(node.place);
            if text.contains(char::is_whitespace) {
                into.pieces.extend(text.split_whitespace().map(str::to_owned));
            }
        }
        DocumentKind::Bool(_) if is_secret => into.begins.push(node.place),
        DocumentKind::List(items) => items.iter().for_each(|item| collect_secrets(item, names, is_secret, around, into)),
        DocumentKind::Map(members) => {
            for member in members {
                names.push(&member.name);
                let is_secret = is_secret || is_secret_at(names, &member.value, around);
                collect_secrets(&member.value, names, is_secret, around, into);
                names.pop();
            }
        }
        _ => {}
    }
}

fn is_secret_at(names: &[&str], value: &Node, around: &ConfigEnv<'_>) -> bool {
    match names {
        ["kafka", section, name] if SECTIONS.contains(section) => {
            let text = value.as_str().unwrap_or_default();
            looks_secret(name) || matches!((around.takes_setting)(name, text), Taken::UnknownName(_))
        }
        ["mask", ..] => true,
        [.., name] => is_secret_name(name) || keys::form_of(names).is_none() && !is_slip_of_harmless(names, value),
        [] => false,
    }
}

/// Whether an unknown key is a slip of the pen in a known one, whose value is no secret.
fn is_slip_of_harmless(names: &[&str], value: &Node) -> bool {
    let Some((name, around)) = names.split_last() else { return false };
    let is_scalar = !matches!(value.kind, DocumentKind::List(_) | DocumentKind::Map(_));
    is_scalar && keys::slip_of(around, name).is_some_and(|known| !is_secret_name(&known))
}
