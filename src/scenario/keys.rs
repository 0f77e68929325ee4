//! The keys of test files: what is read, and what `schema test` says.

/// At the top.
pub const TOP: [&str; 7] = ["name", "streams", "now", "world", "records", "expect", "dead_letters"];
/// Of `world`.
pub const WORLD: [&str; 5] = ["tenants", "partnerships", "profiles", "shares", "events"];
/// Of an item of `world.tenants`.
pub const TENANT: [&str; 3] = ["tenant", "parent", "suspended"];
/// Of an item of `world.partnerships`.
pub const PARTNERSHIP: [&str; 2] = ["tenants", "auto_accept"];
/// Of a profile.
pub const PROFILE: [&str; 3] = ["owner", "file", "spec"];
/// Of an item of `world.shares`, besides `accepted`: the data of an offer.
pub const SHARE: [&str; 15] = [
    "share",
    "owner",
    "asset",
    "label",
    "target_tenant",
    "target_asset",
    "streams",
    "profile",
    "permission",
    "starts",
    "ends",
    "offer_expires",
    "history",
    "message",
    "accepted",
];
/// Of an item of `world.events`.
pub const EVENT: [&str; 4] = ["at", "type", "source", "data"];
/// Of a record.
pub const RECORD: [&str; 7] = ["stream", "at", "timestamp", "key", "headers", "value", "raw"];
/// Of an expected output.
pub const OUTPUT: [&str; 5] = ["stream", "key", "value", "has", "lacks"];
/// Of what a tenant is to get, where it is a map.
pub const TENANT_OUTPUTS: [&str; 2] = ["any", "outputs"];
