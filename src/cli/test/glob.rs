//! Patterns of file names, expanded here so that a quoted one means the same in every shell: `*`, `?`, and `**` for any folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files that a pattern names, in order. A pattern without a wildcard is the one file, whether it is there or not.
pub(super) fn expand(pattern: &str) -> io::Result<Vec<PathBuf>> {
    if !is_pattern(pattern) {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let is_absolute = pattern.starts_with('/');
    let segments: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    let fixed = segments.iter().take_while(|segment| !is_pattern(segment)).count();
    let mut base = if is_absolute { PathBuf::from("/") } else { PathBuf::new() };
    base.extend(&segments[..fixed]);
    let mut found = Vec::new();
    if let Some(segments) = Some(&segments[fixed..]).filter(|segments| !segments.is_empty()) {
        walk(&base, segments, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether a text is a pattern, and not one file's name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn walk(folder: &Path, segments: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some((segment, rest)) = segments.split_first() else { return Ok(()) };
    if *segment == "**" && !rest.is_empty() {
        walk(folder, rest, found)?;
    }
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match fs::read_dir(read) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", read.display()))),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(entry.file_name());
        // A link to a folder is not followed: it may lead back.
        let is_folder = entry.file_type()?.is_dir();
        // A hidden name is meant only where the pattern says so.
        let is_hidden = name.starts_with('.') && !segment.starts_with('.');
        match (*segment, is_folder) {
            _ if is_hidden => {}
            ("**", true) => walk(&path, segments, found)?,
            ("**", false) if rest.is_empty() => found.push(path),
            ("**", false) => {}
            (segment, true) if !rest.is_empty() && fits(segment, &name) => walk(&path, rest, found)?,
            (segment, false) if rest.is_empty() && fits(segment, &name) => found.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a name fits a segment with `*` and `?`.
fn fits(segment: &str, name: &str) -> bool {
    let (segment, name): (Vec<char>, Vec<char>) = (segment.chars().collect(), name.chars().collect());
    let (mut s, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match segment.get(s) {
            Some('*') => {
                star = Some((s, n));
                s += 1;
            }
            Some('?') => (s, n) = (s + 1, n + 1),
            Some(c) if *c == name[n] => (s, n) = (s + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (s, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    segment[s..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_by_stars_and_question_marks() {
        for (segment, name, is) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxb", true),
            ("*a*b*", "xxbxxa", false),
            ("*", "", true),
            ("é?", "éé", true),
        ] {
            assert_eq!(fits(segment, name), is, "{segment} {name}");
        }
    }

    #[test]
    fn two_stars_reach_any_folder_also_none() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/d.txt", ".hidden/e.yaml"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let all = expand(&format!("{}/{pattern}", folder.path().display())).unwrap();
            all.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("*.yaml"), ["a.yaml"]);
        assert_eq!(found("**/*.yaml"), ["a.yaml", "x/b.yaml", "x/y/c.yaml"]);
        assert_eq!(found("x/**/*.yaml"), ["x/b.yaml", "x/y/c.yaml"]);
        assert_eq!(found("**"), ["a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/d.txt"]);
        assert_eq!(found("*/b.yaml"), ["x/b.yaml"]);
        assert_eq!(found(".hidden/*.yaml"), [".hidden/e.yaml"]);
        assert_eq!(found("nowhere/*.yaml"), [""; 0]);
        assert_eq!(found("nowhere.yaml"), ["nowhere.yaml"]);
    }
}
