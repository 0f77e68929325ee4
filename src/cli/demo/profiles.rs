//! The sharing profiles of the demo: those of `config/profiles`, which are part of the program, and a narrower one.

use std::path::Path;

use crate::config::read_document;
use crate::document::Node;

/// For the hirer.
pub(super) const HIRE_PARTNER: &str = "config/profiles/hire-partner.yaml";
/// For the workshop.
pub(super) const WORKSHOP: &str = "config/profiles/workshop.yaml";
/// For the insurer.
pub(super) const INSURER: &str = "config/profiles/insurer.yaml";
/// The hirer's without what `NARROWED_BY` names: a file that one would edit.
pub(super) const NARROWED: &str = "hire-partner.yaml";
/// What is taken out of the hirer's profile.
pub(super) const NARROWED_BY: [&str; 2] = ["$.FuelUsed", "$.FuelRemaining"];

/// The text that stands for a file.
fn text(file: &Path) -> Option<String> {
    let hire_partner = include_str!("../../../config/profiles/hire-partner.yaml");
    let is_kept = |line: &&str| !NARROWED_BY.iter().any(|path| line.trim() == format!("- {path}"));
    Some(match file.to_str()? {
        HIRE_PARTNER => hire_partner.to_owned(),
        WORKSHOP => include_str!("../../../config/profiles/workshop.yaml").to_owned(),
        INSURER => include_str!("../../../config/profiles/insurer.yaml").to_owned(),
        NARROWED => hire_partner.lines().filter(is_kept).map(|line| format!("{line}\n")).collect(),
        _ => return None,
    })
}

/// A profile as a tree, ready to be published.
pub(super) fn spec(file: &Path) -> Result<Node, String> {
    let text = text(file).ok_or_else(|| format!("{} is no profile of the demo", file.display()))?;
    read_document(&file.display().to_string(), &text).map_err(|diagnostic| diagnostic.to_string())
}

/// The text of a profile, as its event carries it.
pub(super) fn source(file: &Path) -> Option<String> {
    text(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_profile_lacks_exactly_what_it_says() {
        let (whole, narrow) = (text(Path::new(HIRE_PARTNER)).unwrap(), text(Path::new(NARROWED)).unwrap());
        assert_eq!(whole.lines().count(), narrow.lines().count() + NARROWED_BY.len());
        assert!(NARROWED_BY.iter().all(|path| whole.contains(path) && !narrow.contains(path)));
        assert!(spec(Path::new(NARROWED)).is_ok() && spec(Path::new("other.yaml")).is_err());
    }
}
