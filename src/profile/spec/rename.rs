//! The clashes of renames that can be seen in the text of a profile (docs/rules/profiles.md#renames-that-clash). Others are left to run
//! time.

use super::{Placed, Section, SpecError, error};
use crate::document::TextPosition;
use crate::json::path::{Name, Segment};
use crate::json::tape::MAX_DEPTH;
use std::collections::{HashMap, HashSet};

/// Refuses a rename to the same name, to a top-level `_share`, onto what is included beside it, or onto another rename.
/// Paths are compared as they are written: a wildcard equals only a wildcard.
pub(super) fn check_renames(section: &Section) -> Result<(), SpecError> {
    let included = included_prefixes(section);
    let mut taken: HashMap<Vec<Segment>, &Placed> = HashMap::new();
    for transform in &section.transforms {
        let Some(new) = transform.action.disclosure().new_name else { continue };
        for from in &transform.paths {
            let Some((parent, old)) = from.path.split_name() else { continue };
            check_name(new, old, parent, from)?;
            let mut onto = parent.to_vec();
            onto.push(Segment::Name(Name::new(new.to_owned())));
            if let Some(place) = included.get(&onto[..]) {
                let what = format!("`{new}` is included beside it at line {}: choose another name, or exclude that one", place.line);
                return Err(error(from.place, what));
            }
            let other = *taken.entry(onto).or_insert(from);
            if other.path != from.path {
                let what = format!("`{new}` is already the new name of a path at line {}: choose another", other.place.line);
                return Err(error(from.place, what));
            }
        }
    }
    Ok(())
}

fn check_name(new: &str, old: &Name, parent: &[Segment], from: &Placed) -> Result<(), SpecError> {
    if new == old.text {
        return Err(error(from.place, format!("`{new}` is the name it has: leave the rename out")));
    }
    if new == "_share" && parent.is_empty() {
        return Err(error(from.place, "`_share` at the top is for provenance: choose another name"));
    }
    Ok(())
}

/// What the includes that no exclude takes back begin with, down to where a record can reach.
fn included_prefixes(section: &Section) -> HashMap<&[Segment], TextPosition> {
    let excluded: HashSet<&[Segment]> = section.exclude.iter().map(|exclude| &exclude.path.segments[..]).collect();
    let mut included = HashMap::new();
    for Placed { path, place, .. } in &section.include {
        let prefixes = || (0..=path.segments.len().min(MAX_DEPTH)).map(|length| &path.segments[..length]);
        if !prefixes().any(|prefix| excluded.contains(prefix)) {
            included.extend(prefixes().map(|prefix| (prefix, *place)));
        }
    }
    included
}

#[cfg(test)]
mod tests {
    use crate::json::document;
    use crate::profile::spec::ProfileSpec;

    fn is_taken(include: &str, exclude: &str, transform: &str) -> bool {
        let text = format!(r#"{{"t":{{"include":[{include}],"exclude":[{exclude}],"transform":[{transform}]}}}}"#);
        ProfileSpec::read(&document::parse(text.as_bytes()).unwrap()).is_ok()
    }

    #[test]
    fn d40_a_rename_onto_what_is_included_beside_it_is_refused() {
        let lat = r#"{"path":"$.position.lat","rename":"lon"}"#;
        assert!(!is_taken(r#""$.position.lon""#, "", lat));
        assert!(!is_taken(r#""$['position']['lon'].deg""#, "", lat));
        assert!(is_taken(r#""$.position.lon""#, r#""$.position.lon""#, lat));
        assert!(is_taken(r#""$.position.lon.deg""#, r#""$.position""#, lat));
        assert!(!is_taken(r#""$.position.lon""#, r#""$.position.lon.deg""#, lat));
        assert!(!is_taken(r#""$.position.lon""#, r#""$.position.*""#, lat));
        assert!(is_taken(r#""$.position","$.*.lon","$.position.*""#, "", lat));
        assert!(!is_taken(r#""$.a[*].new""#, "", r#"{"path":"$.a.*.old","rename":"new"}"#));
        assert!(is_taken(r#""$.a.b.new""#, "", r#"{"path":"$.a[*].old","rename":"new"}"#));
    }

    #[test]
    fn d40_two_paths_may_not_give_one_parent_the_same_name() {
        assert!(!is_taken("", "", r#"{"paths":["$.a","$.b"],"rename":"c"}"#));
        assert!(!is_taken("", "", r#"{"path":"$.x.a","rename":"c"},{"path":"$.x.b","rename":"c"}"#));
        assert!(is_taken("", "", r#"{"path":"$.a","rename":"c"},{"path":"$['a']","rename":"c"}"#));
        assert!(is_taken("", "", r#"{"path":"$.a","rename":"c"},{"path":"$.a","rename":"d"}"#));
        assert!(is_taken("", "", r#"{"path":"$.engine.rpm","rename":"z"},{"path":"$.*.hours","rename":"z"}"#));
    }

    #[test]
    fn d40_the_old_name_and_share_at_the_top_are_refused() {
        assert!(!is_taken("", "", r#"{"path":"$.a","rename":"a"}"#));
        assert!(!is_taken("", "", r#"{"path":"$.a","rename":"_share"}"#));
        assert!(is_taken("", "", r#"{"path":"$.a.b","rename":"_share"}"#));
        assert!(is_taken("", "", r#"{"path":"$._share","rename":"b"}"#));
    }
}
