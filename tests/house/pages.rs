//! The pages: `README.md`, the other pages beside it, and `docs/`. Links lead somewhere, and each page is found from the README.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use super::sources::read;

/// The pages beside the README.
pub(crate) const TOP: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"];

/// Every page by its path, with its text.
pub(crate) fn texts() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let top = TOP.iter().map(|name| ((*name).to_owned(), fs::read_to_string(root.join(name)).unwrap()));
    read("docs", ".md").into_iter().map(|(path, text)| (format!("docs/{path}"), text)).chain(top).collect()
}

/// Every page by its path, with what can be linked to in it.
pub(crate) fn anchors() -> BTreeMap<String, BTreeSet<String>> {
    texts().into_iter().map(|(path, text)| (path, anchors_of(&text))).collect()
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// The anchors of headings as GitHub makes them, and explicit ones.
fn anchors_of(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        if let Some(heading) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')).and_then(|rest| rest.strip_prefix(' ')) {
            let slug = slug(heading);
            assert!(anchors.insert(slug.clone()), "two headings of one page are both #{slug}");
        }
        for (at, start) in line.match_indices("<a id=\"") {
            let rest = &line[at + start.len()..];
            anchors.insert(rest[..rest.find('"').unwrap()].to_owned());
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The targets of a line's links.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let rest = &line[at + 2..];
        rest.find(')').map(|end| &rest[..end])
    })
}

/// The path that a link of this page leads to, below the project's root.
fn resolved(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_str().unwrap()),
            _ => {}
        }
    }
    parts.join("/")
}

#[test]
fn links_lead_somewhere_and_the_readme_leads_to_every_page() {
    let (texts, anchors, root) = (texts(), anchors(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let (mut found, mut arrows) = (Vec::new(), BTreeMap::<&str, BTreeSet<String>>::new());
    for (page, text) in &texts {
        for (at, line) in prose(text) {
            for link in links(line).filter(|link| !link.contains("://")) {
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if path.is_empty() { page.clone() } else { resolved(page, path) };
                if !root.join(&target).exists() {
                    found.push(format!("{page}:{}: {link}: there is no {target}", at + 1));
                } else if !anchor.is_empty() && !anchors.get(&target).is_some_and(|anchors| anchors.contains(anchor)) {
                    found.push(format!("{page}:{}: {target} has no #{anchor}", at + 1));
                }
                arrows.entry(page).or_default().insert(target);
            }
        }
    }
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut open = vec!["README.md".to_owned()];
    while let Some(page) = open.pop() {
        for target in arrows.get(page.as_str()).into_iter().flatten() {
            if reached.insert(target.clone()) {
                open.push(target.clone());
            }
        }
    }
    found.extend(texts.keys().filter(|page| !reached.contains(*page)).map(|page| format!("{page}: no link leads here from README.md")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_readme_is_short() {
    let lines = texts()["README.md"].lines().count();
    assert!(lines < 220, "README.md has {lines} lines; what is more than a first screen, a start and the guarantees is in docs/");
}

#[test]
fn anchors_and_links_are_read_as_a_browser_reads_them() {
    assert_eq!(slug("At 3 a.m.: why did a record not flow?"), "at-3-am-why-did-a-record-not-flow");
    assert_eq!(slug("`_share`: where it came from"), "_share-where-it-came-from");
    assert_eq!(slug("`view`, `edit`, `manage`"), "view-edit-manage");
    assert_eq!(anchors_of("# A\n```\n# no\n```\n<a id=\"b\"></a>"), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(links("see [a](b.md#c) and [d](../e)").collect::<Vec<_>>(), ["b.md#c", "../e"]);
    assert_eq!(resolved("docs/rules/a.md", "../../README.md"), "README.md");
    assert_eq!(resolved("docs/a.md", "rules/b.md"), "docs/rules/b.md");
}
