//! The tenant's status topic: one document a share, which says what a share is now and when and why it ended. Streams do not say that.

use crate::config::Config;
use crate::document::Node;
use crate::id::TenantId;
use crate::schema::{closed, list_of, map, of_type, text, texts, word};
use crate::share::state::{Permission, Reason, State};

/// What a member of a share's document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DocumentForm {
    Text,
    Texts,
    Time,
    Whole,
    True,
    Permission,
    State,
    Reason,
}

/// A member of a share's document.
#[derive(Debug, Clone, Copy)]
pub struct DocumentMember {
    /// Its name.
    pub name: &'static str,
    form: DocumentForm,
    /// What it says.
    pub what: &'static str,
    /// Whether it is there in every document.
    pub is_always: bool,
}

const fn always(name: &'static str, form: DocumentForm, what: &'static str) -> DocumentMember {
    DocumentMember { name, form, what, is_always: true }
}

const fn maybe(name: &'static str, form: DocumentForm, what: &'static str) -> DocumentMember {
    DocumentMember { name, form, what, is_always: false }
}

/// In the order in which they are written.
pub const MEMBERS: &[DocumentMember] = &[
    always("share", DocumentForm::Text, "its id, the key of the record"),
    always("owner", DocumentForm::Text, "the tenant whose asset it is"),
    maybe("asset", DocumentForm::Text, "the owner's id of the asset; of your own shares alone"),
    maybe("label", DocumentForm::Text, "a name for people"),
    maybe("target_tenant", DocumentForm::Text, "the tenant that receives"),
    maybe("invitee", DocumentForm::Text, "who was invited, until it is accepted; of your own shares alone"),
    maybe("target_asset", DocumentForm::Text, "the target's id of the asset, the key of its records"),
    always("streams", DocumentForm::Texts, "the streams that are shared"),
    maybe("profile", DocumentForm::Text, "the owner's sharing profile"),
    always("permission", DocumentForm::Permission, "what the target may do"),
    maybe("starts", DocumentForm::Time, "from when on"),
    maybe("ends", DocumentForm::Time, "until when"),
    maybe("offer_expires", DocumentForm::Time, "until when it can be accepted"),
    maybe("history", DocumentForm::True, "records from before the acceptance may come"),
    maybe("message", DocumentForm::Text, "what was said with the offer"),
    always("state", DocumentForm::State, "records come while it is ACTIVE"),
    maybe("paused_by", DocumentForm::Texts, "who paused it, while it is PAUSED"),
    maybe("reason", DocumentForm::Reason, "why it is over"),
    always("revision", DocumentForm::Whole, "one more at each change"),
    always("offered_at", DocumentForm::Time, "when it was offered"),
    maybe("accepted_at", DocumentForm::Time, "when it was accepted"),
    maybe("ended_at", DocumentForm::Time, "when it ended"),
    maybe("granted_from", DocumentForm::Time, "records of no earlier time come"),
    always("epoch", DocumentForm::Whole, "the epoch that made this document"),
];

/// What the topic is.
pub const TITLE: &str = "each of your shares as you see it now, written again at each change";

/// What stands around a document, in words.
pub const ENVELOPE: &str = "compacted; the key is the share's id, the Kafka timestamp when it changed; no headers; never a null value";

/// The topic of a tenant.
pub fn topic(config: &Config, tenant: &TenantId) -> String {
    config.topics.status(tenant)
}

/// The schema of a document.
pub fn schema() -> Node {
    let required: Vec<&str> = MEMBERS.iter().filter(|member| member.is_always).map(|member| member.name).collect();
    closed(MEMBERS.iter().map(|member| (member.name, member.schema())), &required)
}

impl DocumentMember {
    fn schema(&self) -> Node {
        let form = match self.form {
            DocumentForm::Text | DocumentForm::Time => of_type("string"),
            DocumentForm::Texts => list_of(of_type("string")),
            DocumentForm::Whole => of_type("integer"),
            DocumentForm::True => map([("const", crate::schema::flag(true))]),
            DocumentForm::Permission => word(Permission::ALL.iter().map(|permission| permission.word())),
            DocumentForm::State => word(State::ALL.iter().map(|state| state.word())),
            DocumentForm::Reason => map([("enum", texts(Reason::ALL.iter().map(|reason| reason.code())))]),
        };
        let described = form.members().iter().map(|member| (member.name.clone(), member.value.clone()));
        map(described.chain([("description".to_owned(), text(self.what))]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::violation;
    use super::*;
    use crate::id::Epoch;
    use crate::share::state::Holders;
    use crate::share::status::{Audience, Document};
    use crate::time::{TimestampMs, TimestampNs};

    #[test]
    fn every_member_of_a_document_is_named() {
        let moment: TimestampNs = TimestampMs(0).moment();
        let full = Document {
            share: "s",
            owner: "o",
            asset: Some("a"),
            label: Some("l"),
            target_tenant: Some("t"),
            invitee: Some("i"),
            target_asset: Some("x"),
            streams: vec!["telemetry"],
            profile: Some("p"),
            permission: Permission::ALL[0],
            starts: Some(moment),
            ends: Some(moment),
            offer_expires: Some(moment),
            history: true,
            message: Some("m"),
            state: State::Paused,
            paused_by: Holders::default(),
            reason: Some(Reason::ALL[0]),
            revision: 1,
            offered_at: TimestampMs(0),
            accepted_at: Some(TimestampMs(0)),
            ended_at: Some(moment),
            granted_from: Some(moment),
        };
        let written: serde_json::Value = serde_json::from_slice(&full.write(Audience::Owner, Epoch(1))).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&crate::schema::pretty_text(&schema())).unwrap();
        assert_eq!(violation(&schema, &schema, &written), None);
        assert_eq!(written.as_object().unwrap().len(), MEMBERS.len());
    }
}
