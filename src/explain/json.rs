//! The answer as data.

use super::members::{MemberExplanation, MemberOutcome};
use super::{Explanation, ShareExplanation};
use crate::json::writer::{ObjectWriter, object, write_array};

impl Explanation {
    /// One JSON object.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.object("record", |out| {
                let record = &self.record;
                out.text("stream", &record.stream);
                match record.place {
                    Some(place) => {
                        out.number("partition", place.partition);
                        out.number("offset", place.offset.0);
                    }
                    None => {
                        out.null("partition");
                        out.null("offset");
                    }
                }
                for (name, value) in [("owner", &record.owner), ("asset", &record.asset)] {
                    match value {
                        Some(value) => out.text(name, value),
                        None => out.null(name),
                    }
                }
                match record.time {
                    Some(time) => out.time("time", time),
                    None => out.null("time"),
                }
            });
            out.number("epoch", self.epoch.0);
            out.time("now", self.now);
            out.array("shares", |items| self.shares.iter().for_each(|share| items.object(|out| write_share(share, out))));
            if let Some(refusal) = &self.dead {
                out.object("dead", |out| {
                    out.text("reason", refusal.reason.as_str());
                    out.text("message", &refusal.to_string());
                });
            }
        })
    }
}

impl Explanation {
    /// The same for the target of its shares, which must be the only ones in it: without the owner's asset, where the record is, by what of
    /// the profile, and what does not leave.
    pub fn to_json_for_target(&self) -> Vec<u8> {
        object(|out| {
            out.object("record", |out| {
                out.text("stream", &self.record.stream);
                out.null("partition");
                out.null("offset");
                out.text_if("owner", self.record.owner.as_deref());
                match self.record.time {
                    Some(time) => out.time("time", time),
                    None => out.null("time"),
                }
            });
            out.number("epoch", self.epoch.0);
            out.time("now", self.now);
            out.array("shares", |items| self.shares.iter().for_each(|share| items.object(|out| write_share_for_target(share, out))));
        })
    }
}

fn write_share_for_target(share: &ShareExplanation, out: &mut ObjectWriter<'_>) {
    out.text("share", &share.share);
    out.text("decision", if share.suppressed.is_none() { "released" } else { "suppressed" });
    out.text("rule", share.suppressed.unwrap_or("released"));
    out.array("compared", |items| {
        // A condition is the owner's, and may speak of members that do not leave.
        for compared in share.compared.iter().filter(|compared| !compared.left.starts_with("when")) {
            items.object(|out| {
                out.text("left", &compared.left);
                out.text("op", compared.op);
                out.text("right", &compared.right);
            });
        }
    });
    out.array("members", |items| {
        for member in &share.members {
            match member.outcome {
                MemberOutcome::Kept | MemberOutcome::Changed => items.object(|out| {
                    out.text("path", &member.path);
                    out.text("outcome", member.outcome.word());
                }),
                MemberOutcome::Withheld => {}
            }
        }
    });
}

fn write_share(share: &ShareExplanation, out: &mut ObjectWriter<'_>) {
    out.text("share", &share.share);
    match &share.target {
        Some(target) => out.text("target", target),
        None => out.null("target"),
    }
    out.text("decision", if share.suppressed.is_none() { "released" } else { "suppressed" });
    out.text("rule", share.suppressed.unwrap_or("released"));
    out.array("compared", |items| {
        for compared in &share.compared {
            items.object(|out| {
                out.text("left", &compared.left);
                out.text("op", compared.op);
                out.text("right", &compared.right);
            });
        }
    });
    out.array("members", |items| share.members.iter().for_each(|member| items.object(|out| write_member(member, out))));
}

/// Members of a record, as a list.
pub fn members_to_json(members: &[MemberExplanation]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array(&mut out, |items| members.iter().for_each(|member| items.object(|out| write_member(member, out))));
    out
}

fn write_member(member: &MemberExplanation, out: &mut ObjectWriter<'_>) {
    out.text("path", &member.path);
    out.text("outcome", member.outcome.word());
    out.text("by", &member.by);
    out.text_if("action", member.action.as_deref());
    if let Some(place) = member.place {
        out.number("line", place.line);
        out.number("column", place.column);
    }
}
