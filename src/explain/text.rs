//! The answer for people.

use super::members::MemberExplanation;
use super::{Explanation, ShareExplanation};
use crate::record::mapping::Mode;

impl Explanation {
    /// Lines of text. What records and owners wrote is in it as it is: who shows it on a terminal sees to control characters.
    pub fn to_lines(&self) -> Vec<String> {
        let record = &self.record;
        let mut lines = vec![self.headline(), format!("decided at {} by the shares of epoch {}", self.now, self.epoch)];
        if let Some(offset) = self.waits_for {
            lines.push(format!(
                "control offset {offset} cannot be understood: until it is skipped (`sharecast control skip`) nothing is decided; this is \
                 what the shares before it say"
            ));
        }
        if let Some(refusal) = &self.dead {
            lines.push(String::new());
            lines.push(format!("a dead letter: {}: {refusal}", refusal.reason.as_str()));
            return lines;
        }
        if let (true, Some(owner), Some(asset)) = (self.shares.is_empty(), &record.owner, &record.asset) {
            lines.push(String::new());
            lines.push(match &self.only_target {
                Some(target) => {
                    format!("no share of asset {asset} of {owner} with {target} names {}: {target} does not get it", record.stream)
                }
                None => format!("no share of asset {asset} of {owner} names {}: nobody gets it", record.stream),
            });
        }
        for share in &self.shares {
            lines.push(String::new());
            lines.extend(share.to_lines());
        }
        if !self.other_shares.is_empty() {
            lines.push(String::new());
            lines.push(format!("shares of the asset that do not name {}: {}", record.stream, self.other_shares.join(", ")));
        }
        lines
    }

    fn headline(&self) -> String {
        let record = &self.record;
        let mut line = record.stream.clone();
        if let Some(place) = record.place {
            line += &format!(" partition {} offset {}", place.partition, place.offset);
        }
        if let Some(asset) = &record.asset {
            line += &format!(", asset {asset}");
        }
        if let Some(owner) = &record.owner {
            line += &format!(" of {owner}");
        }
        match (record.time, record.mode) {
            (Some(time), _) => line + &format!(", event time {time}"),
            (None, Mode::Upsert) => line + ", a document",
            (None, Mode::Append) => line,
        }
    }
}

impl ShareExplanation {
    /// The lines of one share.
    pub fn to_lines(&self) -> Vec<String> {
        let target = self.target.as_deref().unwrap_or("an invitee");
        let decided = self.suppressed.map_or("released".to_owned(), |reason| format!("not released: {reason}"));
        let mut lines = vec![format!("{} for {target}, profile {}: {decided}", self.share, self.profile)];
        lines.extend(self.compared.iter().map(|compared| format!("  {} {} {}", compared.left, compared.op, compared.right)));
        lines.extend(self.unknown.iter().map(|unknown| format!("  not known: {unknown}")));
        lines.extend(member_lines(&self.members).into_iter().map(|line| format!("  {line}")));
        lines
    }
}

/// One line a member, in columns.
pub fn member_lines(members: &[MemberExplanation]) -> Vec<String> {
    let width = members.iter().map(|member| member.path.chars().count()).max().unwrap_or(0);
    let line = |member: &MemberExplanation| {
        let action = member.action.as_ref().map(|action| format!("{action}, ")).unwrap_or_default();
        let place = member.place.map(|place| format!(" (line {}, column {})", place.line, place.column)).unwrap_or_default();
        format!("{:<8}  {:<width$}  {action}by {}{place}", member.outcome.word(), member.path, member.by)
            .replace("by not included", "not included")
    };
    members.iter().map(line).collect()
}
