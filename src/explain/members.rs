//! What became of each member, in the words of the profile: by which of its paths, and where that is written.

use crate::document::{Node, TextPosition, yaml};
use crate::json::document;
use crate::json::tape::{NodeIndex, NodeKind, Tape};
use crate::profile::preview::push_name;
use crate::profile::spec::{Placed, ProfileSpec, Section};
use crate::profile::walk::witness::{NodeFate, RecordTrace, StoredFate};
use crate::share::event::payload::is_same;
use crate::share::table::query::ProfileView;

closed_set! {
    /// What becomes of a member.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum MemberOutcome;
    /// As answers have it.
    fn word;

    /// It leaves as it is.
    Kept = "kept",
    /// It leaves as something else, or under another name.
    Changed = "changed",
    /// It does not leave.
    Withheld = "withheld",
}

/// One member that holds a value, or that a transform takes as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberExplanation {
    /// Its path in the record; elements by their place in it.
    pub path: String,
    /// What becomes of it.
    pub outcome: MemberOutcome,
    /// By which path of the profile, as it is written there, or by what else.
    pub by: String,
    /// The actions that change or drop it.
    pub action: Option<String>,
    /// Where that is written.
    pub place: Option<TextPosition>,
}

/// A profile's sections, with the places of its source where that is known.
#[derive(Debug, Default)]
pub struct ProfileText {
    sections: Option<ProfileSpec>,
    has_places: bool,
}

impl ProfileText {
    /// Of a published profile. A source that says something else than what was published has no places to name.
    pub fn of(profile: &ProfileView<'_>) -> Self {
        let read = |node: &Node| ProfileSpec::read(node).ok();
        let spec = document::parse(profile.spec).ok();
        let is_spec = |node: &Node| spec.as_ref().is_some_and(|spec| is_same(node, spec));
        let source = profile.source.and_then(|source| document::parse(source.as_bytes()).ok().or_else(|| yaml::parse(source).ok()));
        if let Some(sections) = source.filter(is_spec).as_ref().and_then(read) {
            return Self { sections: Some(sections), has_places: true };
        }
        Self { sections: spec.as_ref().and_then(read), has_places: false }
    }

    /// Of a file that was read.
    pub fn of_file(sections: ProfileSpec) -> Self {
        Self { sections: Some(sections), has_places: true }
    }

    fn section(&self, stream: &str) -> Section {
        self.sections.as_ref().and_then(|sections| sections.section(stream)).cloned().unwrap_or_else(Section::all)
    }
}

/// What became of each member of a record, in the order in which they stand.
pub(crate) fn members(text: &[u8], tape: &Tape, trace: &RecordTrace, profile: &ProfileText, stream: &str) -> Vec<MemberExplanation> {
    let section = profile.section(stream);
    let mut lister = MemberLister {
        text,
        tape,
        fates: trace.fates(tape),
        section: &section,
        has_places: profile.has_places,
        ways: Vec::new(),
        found: Vec::new(),
    };
    lister.ways.push(NodeIndex::ROOT);
    lister.inside(NodeIndex::ROOT, "$");
    lister.found
}

struct MemberLister<'a> {
    text: &'a [u8],
    tape: &'a Tape,
    fates: Vec<Option<NodeFate<'a>>>,
    section: &'a Section,
    has_places: bool,
    /// The values from the record to the one that is looked at.
    ways: Vec<NodeIndex>,
    found: Vec<MemberExplanation>,
}

impl MemberLister<'_> {
    fn inside(&mut self, node: NodeIndex, path: &str) {
        let in_object = self.tape.kind(node) == NodeKind::Object;
        let children: Vec<NodeIndex> = self.tape.children(node).collect();
        for (index, child) in children.into_iter().enumerate() {
            let mut path = path.to_owned();
            if in_object {
                push_name(&mut path, &self.tape.name_text(self.text, child));
            } else {
                path.push_str(&format!("[{index}]"));
            }
            self.ways.push(child);
            self.value(child, &path);
            self.ways.pop();
        }
    }

    /// One value; of a container what becomes of all inside it, unless something takes it as a whole.
    fn value(&mut self, node: NodeIndex, path: &str) {
        let Some(of) = self.fates[node.0 as usize] else { return };
        let is_whole = match of.fate {
            StoredFate::Kept | StoredFate::NotSelected => self.tape.children(node).next().is_none(),
            StoredFate::Changed(_) | StoredFate::Identity | StoredFate::Dropped(_) | StoredFate::Overtaken(_) | StoredFate::ShareMember => {
                true
            }
        };
        if is_whole || of.rename.is_some() {
            let told = self.tell(node, of, path);
            self.found.push(told);
        }
        if !is_whole {
            self.inside(node, path);
        }
    }

    fn tell(&self, node: NodeIndex, of: NodeFate<'_>, path: &str) -> MemberExplanation {
        let told = |outcome, by: &str, action: Option<String>, place: Option<TextPosition>| MemberExplanation {
            path: path.to_owned(),
            outcome,
            by: by.to_owned(),
            action,
            place: place.filter(|place| self.has_places && *place != TextPosition::default()),
        };
        let placed = |outcome, placed: Option<&Placed>, action: Option<String>| match placed {
            Some(placed) => told(outcome, &placed.written, action, Some(placed.place)),
            None => told(outcome, "$", action, None),
        };
        match of.fate {
            StoredFate::Changed(transforms) => {
                let words: Vec<&str> = transforms.iter().map(|at| self.word(*at)).collect();
                let by = transforms.first().and_then(|at| self.path_of(*at, of.noted_of));
                placed(MemberOutcome::Changed, by, Some(words.join(", ")))
            }
            StoredFate::Dropped(at) => placed(MemberOutcome::Withheld, self.path_of(*at, of.noted_of), Some(self.word(*at).to_owned())),
            StoredFate::Overtaken(at) => {
                let by = at.and_then(|at| self.section.transforms.get(at as usize)).and_then(|transform| transform.paths.first());
                placed(MemberOutcome::Withheld, by, Some("rename".to_owned()))
            }
            StoredFate::Identity => told(MemberOutcome::Changed, "identity", Some("target_id".to_owned()), None),
            StoredFate::ShareMember => told(MemberOutcome::Withheld, "_share", None, None),
            StoredFate::Kept | StoredFate::NotSelected => {
                let is_kept = *of.fate == StoredFate::Kept;
                // A container that no path selects leaves with what does inside it.
                if let Some(rename) = of.rename {
                    return placed(MemberOutcome::Changed, self.path_of(rename, node), Some(self.word(rename).to_owned()));
                }
                let (include, exclude) = (self.selecting(&self.section.include), self.selecting(&self.section.exclude));
                match (is_kept, include, exclude) {
                    (true, Some(include), None) => placed(MemberOutcome::Kept, Some(include), None),
                    // Only the event time is outside of include and exclude.
                    (true, ..) => told(MemberOutcome::Kept, "time", None, None),
                    (false, Some(_), Some(exclude)) => placed(MemberOutcome::Withheld, Some(exclude), None),
                    (false, ..) => told(MemberOutcome::Withheld, "not included", None, Some(self.section.include_place)),
                }
            }
        }
    }

    fn word(&self, transform: u32) -> &'static str {
        self.section.transforms.get(transform as usize).map_or("", |transform| transform.action.word())
    }

    /// The path of a transform that selects a value.
    fn path_of(&self, transform: u32, node: NodeIndex) -> Option<&Placed> {
        let paths = &self.section.transforms.get(transform as usize)?.paths;
        paths.iter().find(|placed| placed.path.selects(self.text, self.tape, node)).or(paths.first())
    }

    /// The first path that selects the value or one around it.
    fn selecting<'p>(&self, paths: &'p [Placed]) -> Option<&'p Placed> {
        paths.iter().find(|placed| self.ways.iter().any(|node| placed.path.selects(self.text, self.tape, *node)))
    }
}
