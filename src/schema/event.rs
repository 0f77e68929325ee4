//! Control events, by the fields that each type's data has.

use super::{ID, STREAM, TENANT, TIME, list, map, number, of_type, pattern, profile, text, texts, word};
use crate::document::Node;
use crate::record::mapping::Mode;
use crate::share::configuration::RULES;
use crate::share::event::kind::EventType;
use crate::share::state::Permission;

/// The fields of a type's data; those that must be there whoever sends it end in `!`.
pub(super) fn data_of(kind: EventType) -> &'static [&'static str] {
    match kind {
        EventType::TenantUpdated => &["tenant!", "parent", "suspended"],
        EventType::PartnershipEstablished => &["tenants!", "auto_accept"],
        EventType::PartnershipOffered | EventType::PartnershipDeclined | EventType::PartnershipEnded => &["partner", "tenants"],
        EventType::PartnershipAccepted => &["partner", "tenants", "auto_accept"],
        EventType::ProfilePublished => &["profile!", "spec!", "owner"],
        EventType::ProfileRetired => &["profile!", "owner"],
        EventType::ShareOffered => &[
            "share!",
            "asset!",
            "target_tenant",
            "invitee",
            "target_asset",
            "streams!",
            "profile!",
            "permission",
            "starts",
            "ends",
            "offer_expires",
            "history",
            "label",
            "message",
            "code_hash",
            "owner",
        ],
        EventType::ShareResent => &["share!", "offer_expires", "code_hash"],
        EventType::ShareAccepted => &["share!", "target_asset", "streams", "target_tenant", "code"],
        EventType::ShareDeclined
        | EventType::ShareLeft
        | EventType::ShareCancelled
        | EventType::ShareRevoked
        | EventType::SharePaused
        | EventType::ShareResumed => &["share!", "note"],
        EventType::ShareUpdated => &["share!", "target_asset", "streams", "profile", "permission", "starts", "ends", "label"],
        EventType::ShareExpired => &["share!", "cause!"],
        EventType::ControlSkipped => &["offset!", "note!"],
        EventType::ControlConfigured => &["modes!", "partnerships!", "unreadable", "rules"],
        EventType::ControlTick => &[],
    }
}

/// The member that a field of `DATA` is; `modes` are the `streams` of a configuration, which are no list.
pub(super) fn member(field: &str) -> &str {
    match field.trim_end_matches('!') {
        "modes" => "streams",
        name => name,
    }
}

pub(super) fn schema() -> Node {
    let kinds = EventType::ALL.map(|kind| {
        map([
            ("if", map([("properties", map([("type", map([("const", text(kind.full_name()))]))]))])),
            ("then", map([("properties", map([("data", data(kind))]))])),
        ])
    });
    let source = pattern("^(/operator|/sharecast|/tenants/[A-Za-z0-9][A-Za-z0-9_-]{0,63})$");
    let properties = map([
        ("specversion", map([("const", text("1.0"))])),
        ("id", pattern(ID)),
        ("source", source),
        ("type", word(EventType::ALL.map(EventType::full_name).iter().map(String::as_str))),
        ("time", pattern(TIME)),
        ("datacontenttype", of_type("string")),
        ("data", of_type("object")),
    ]);
    map([
        ("type", text("object")),
        ("properties", properties),
        ("required", texts(["specversion", "id", "source", "type"])),
        ("allOf", list(kinds)),
    ])
}

/// Members that nobody knows are ignored.
fn data(kind: EventType) -> Node {
    let is_needed = |field: &&&str| field.ends_with('!');
    let fields = data_of(kind);
    let schema = |field: &&'static str| {
        let own = field_schema(field);
        (member(field), if is_needed(&field) { own } else { super::any_of([own, of_type("null")]) })
    };
    let all: Vec<(&str, Node)> = fields.iter().map(schema).collect();
    let required: Vec<&str> = fields.iter().filter(is_needed).map(|field| member(field)).collect();
    let mut members = vec![("type", text("object")), ("properties", map(all)), ("required", texts(required))];
    if kind == EventType::ShareOffered {
        members.push(("anyOf", list([map([("required", texts(["target_tenant"]))]), map([("required", texts(["invitee"]))])])));
    }
    if matches!(
        kind,
        EventType::PartnershipOffered | EventType::PartnershipAccepted | EventType::PartnershipDeclined | EventType::PartnershipEnded
    ) {
        members.push(("anyOf", list([map([("required", texts(["partner"]))]), map([("required", texts(["tenants"]))])])));
    }
    map(members)
}

/// What a field must be; those of a test's world are the same.
pub(super) fn field_schema(field: &str) -> Node {
    let modes = || {
        map([
            ("type", text("object")),
            ("propertyNames", map([("pattern", text(STREAM))])),
            ("additionalProperties", word(Mode::ALL.map(Mode::word))),
        ])
    };
    match field.trim_end_matches('!') {
        "tenant" | "parent" | "partner" | "owner" | "target_tenant" => pattern(TENANT),
        "tenants" => map([("type", text("array")), ("items", pattern(TENANT)), ("minItems", number(2)), ("maxItems", number(2))]),
        "share" | "profile" => pattern(ID),
        "asset" | "target_asset" => map([("type", text("string")), ("minLength", number(1)), ("maxLength", number(256))]),
        "streams" => map([("type", text("array")), ("items", pattern(STREAM)), ("minItems", number(1))]),
        "modes" => modes(),
        "spec" => profile::schema(),
        "permission" => word(Permission::ALL.map(Permission::word)),
        "starts" | "ends" | "offer_expires" => pattern(TIME),
        "history" | "auto_accept" | "suspended" => of_type("boolean"),
        "invitee" => pattern("^[^@\\s]+@[^@\\s]+$"),
        "code_hash" => pattern("^[0-9a-f]{64}$"),
        "label" | "message" | "note" | "code" => of_type("string"),
        "cause" => word(["offer", "access"]),
        "offset" => map([("type", text("integer")), ("minimum", number(0))]),
        "partnerships" => word(["required", "invited", "open"]),
        "unreadable" => word(["halt", "skip"]),
        "rules" => map([("type", text("integer")), ("minimum", number(1)), ("maximum", number(i64::from(RULES)))]),
        other => unreachable!("the field {other} has no schema"),
    }
}
