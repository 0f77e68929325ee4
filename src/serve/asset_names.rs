//! Names of millions of assets in little memory: one text an asset, sorted runs of them, an owner once.

use rustc_hash::FxHashMap;

use crate::explain::RecordPlace;
use crate::id::Offset;
use crate::share::view::asset_order::in_order;
use crate::share::view::text_bits::{TextBits, TextNeedle};

/// How one asset is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetEntry {
    /// Its id, in its owner's words.
    pub asset: String,
    /// Its name.
    pub name: Option<String>,
    /// Its second one, as a number plate.
    pub reference: Option<String>,
}

/// So many on a run. Small in tests, so that they part.
const MOST: usize = if cfg!(test) { 4 } else { 256 };
/// Between the texts of an asset, and after the last of them. No part of an id: they are control characters.
const BETWEEN: char = '\u{1f}';
const END: char = '\u{1e}';

/// The assets of each owner, in people's order.
#[derive(Debug, Default)]
pub(crate) struct AssetNames {
    owners: FxHashMap<Box<str>, Vec<NameRun>>,
    count: usize,
}

/// Some assets in order. Their texts lie beside each other, so that a search reads them as one.
#[derive(Debug, Default)]
struct NameRun {
    /// Of each `id 0x1f name 0x1f reference 0x1e`.
    texts: String,
    /// Where the text of each ends.
    ends: Vec<u32>,
    /// Where the document of each is.
    places: Vec<NamePlace>,
    /// What short parts the texts have, and had.
    parts: Box<TextBits>,
}

/// A `RecordPlace` without its padding.
#[derive(Debug, Clone, Copy)]
struct NamePlace {
    partition: i32,
    offset: [u8; 8],
}

// With its end, beside the text; the budget is 120 bytes.
const _: () = assert!(size_of::<NamePlace>() + size_of::<u32>() <= 16);

impl NameRun {
    fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of one, without its end.
    fn text(&self, at: usize) -> &str {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.texts[begin..self.ends[at] as usize - END.len_utf8()]
    }

    fn asset(&self, at: usize) -> &str {
        self.text(at).split(BETWEEN).next().unwrap_or_default()
    }

    fn entry(&self, at: usize) -> AssetEntry {
        let mut texts = self.text(at).split(BETWEEN).map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
        let asset = texts.next().flatten().unwrap_or_default();
        AssetEntry { asset, name: texts.next().flatten(), reference: texts.next().flatten() }
    }

    /// Where an asset is, or belongs.
    fn find(&self, asset: &str) -> Result<usize, usize> {
        let at = partition_point(self.len(), |at| in_order(self.asset(at), asset).is_lt());
        if at < self.len() && self.asset(at) == asset { Ok(at) } else { Err(at) }
    }

    /// Puts other texts in the place of some, exactly as long as they are.
    fn replace(&mut self, range: std::ops::Range<usize>, texts: &str, places: &[NamePlace]) {
        let begin = if range.start == 0 { 0 } else { self.ends[range.start - 1] as usize };
        let end = if range.is_empty() { begin } else { self.ends[range.end - 1] as usize };
        let mut whole = String::with_capacity(self.texts.len() - (end - begin) + texts.len());
        [&self.texts[..begin], texts, &self.texts[end..]].into_iter().for_each(|part| whole.push_str(part));
        self.ends = whole.match_indices(END).map(|(at, _)| (at + END.len_utf8()) as u32).collect();
        self.ends.shrink_to_fit();
        self.places.splice(range, places.iter().copied());
        self.texts = whole;
        self.note(texts);
    }

    /// Takes those from `at` on out into a run of their own.
    fn split_off(&mut self, at: usize) -> Self {
        let begin = self.ends[at - 1];
        let mut behind = Self {
            texts: self.texts[begin as usize..].to_owned(),
            ends: self.ends[at..].iter().map(|end| end - begin).collect(),
            places: self.places[at..].to_vec(),
            parts: Box::default(),
        };
        behind.note_all();
        self.texts.truncate(begin as usize);
        self.texts.shrink_to_fit();
        self.ends.truncate(at);
        self.ends.shrink_to_fit();
        self.places.truncate(at);
        self.places.shrink_to_fit();
        self.note_all();
        behind
    }

    fn note(&mut self, texts: &str) {
        let mut lowered = String::new();
        lower_into(texts, &mut lowered);
        TextBits::parts(&lowered).for_each(|bit| self.parts.add(bit));
    }

    /// Forgets what the texts had.
    fn note_all(&mut self) {
        *self.parts = TextBits::default();
        let texts = std::mem::take(&mut self.texts);
        self.note(&texts);
        self.texts = texts;
    }

    /// Tells the places from `first` on whose texts have this one, which is in lower case.
    fn search(&self, lower: &str, first: usize, lowered: &mut String, mut tell: impl FnMut(usize) -> bool) -> bool {
        lower_into(&self.texts, lowered);
        let mut seen = (0, 0);
        let mut goes_on = true;
        while goes_on && let Some(found) = lowered[seen.1..].find(lower) {
            let hit = seen.1 + found;
            let at = seen.0 + lowered[seen.1..hit].matches(END).count();
            goes_on = at < first || tell(at);
            let next = lowered[hit..].find(END).map_or(lowered.len(), |end| hit + end + END.len_utf8());
            seen = (at + 1, next);
        }
        goes_on
    }
}

/// A text in lower case.
fn lower_into(text: &str, lowered: &mut String) {
    lowered.clear();
    if text.is_ascii() {
        lowered.push_str(text);
        lowered.make_ascii_lowercase();
    } else {
        lowered.push_str(&text.to_lowercase());
    }
}

/// The first number below `len` of which `is_before` does not hold.
fn partition_point(len: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, len);
    while from < to {
        let middle = from.midpoint(to);
        if is_before(middle) { from = middle + 1 } else { to = middle }
    }
    from
}

impl AssetNames {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes an asset in, or what it is called now.
    pub(super) fn put(&mut self, owner: &str, asset: &str, name: Option<&str>, reference: Option<&str>, place: RecordPlace) {
        let clean = |text: Option<&str>| text.unwrap_or_default().replace([BETWEEN, END], " ");
        let text = format!("{asset}{BETWEEN}{}{BETWEEN}{}{END}", clean(name), clean(reference));
        let place = NamePlace { partition: place.partition, offset: place.offset.0.to_le_bytes() };
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.into(), Vec::new());
        }
        let Some(runs) = self.owners.get_mut(owner) else { return };
        if runs.is_empty() {
            runs.push(NameRun::default());
        }
        let run = run_of(runs, asset);
        match runs[run].find(asset) {
            Ok(at) => runs[run].replace(at..at + 1, &text, &[place]),
            Err(at) => {
                runs[run].replace(at..at, &text, &[place]);
                self.count += 1;
            }
        }
        if runs[run].len() > MOST {
            // Where ids come in order, the full run stays full.
            let keeps = if run + 1 == runs.len() { MOST } else { MOST / 2 };
            let behind = runs[run].split_off(keeps);
            runs.insert(run + 1, behind);
        }
    }

    /// The asset has no document any more.
    pub(super) fn remove(&mut self, owner: &str, asset: &str) {
        let Some(runs) = self.owners.get_mut(owner).filter(|runs| !runs.is_empty()) else { return };
        let run = run_of(runs, asset);
        if let Ok(at) = runs[run].find(asset) {
            runs[run].replace(at..at + 1, "", &[]);
            self.count -= 1;
            if runs[run].len() == 0 {
                runs.remove(run);
            }
        }
    }

    fn named(&self, owner: &str, asset: &str) -> Option<(&NameRun, usize)> {
        let runs = self.owners.get(owner).filter(|runs| !runs.is_empty())?;
        let run = &runs[run_of(runs, asset)];
        run.find(asset).ok().map(|at| (run, at))
    }

    /// What an asset is called.
    pub(super) fn find(&self, owner: &str, asset: &str) -> Option<AssetEntry> {
        self.named(owner, asset).map(|(run, at)| run.entry(at))
    }

    /// Where its document is.
    pub(super) fn place(&self, owner: &str, asset: &str) -> Option<RecordPlace> {
        let (run, at) = self.named(owner, asset)?;
        let NamePlace { partition, offset } = run.places[at];
        Some(RecordPlace { partition, offset: Offset(i64::from_le_bytes(offset)) })
    }

    /// An owner's assets that have the text, in people's order, those after `after`, at most `limit`; whether there are more.
    pub(super) fn list(&self, owner: &str, text: Option<&str>, after: Option<&str>, limit: usize) -> (Vec<AssetEntry>, bool) {
        let Some(runs) = self.owners.get(owner).filter(|runs| !runs.is_empty()) else { return (Vec::new(), false) };
        let lower = text.map(str::to_lowercase).unwrap_or_default();
        if lower.contains([BETWEEN, END]) {
            return (Vec::new(), false);
        }
        let first = after.map_or(0, |after| run_of(runs, after));
        let (mut entries, mut has_more, mut lowered) = (Vec::new(), false, String::new());
        let needle = TextNeedle::of(&lower);
        for (number, run) in runs.iter().enumerate().skip(first).filter(|(_, run)| run.parts.may_have(&needle)) {
            let begins = match after {
                Some(after) if number == first => run.find(after).map_or_else(|at| at, |at| at + 1),
                _ => 0,
            };
            let take = |at: usize| {
                has_more = entries.len() == limit;
                if !has_more {
                    entries.push(run.entry(at));
                }
                !has_more
            };
            let goes_on = if lower.is_empty() { (begins..run.len()).all(take) } else { run.search(&lower, begins, &mut lowered, take) };
            if !goes_on {
                break;
            }
        }
        (entries, has_more)
    }
}

/// The run that an asset is on, or belongs on.
fn run_of(runs: &[NameRun], asset: &str) -> usize {
    runs.partition_point(|run| run.len() > 0 && in_order(run.asset(0), asset).is_le()).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const PLACE: RecordPlace = RecordPlace { partition: 1, offset: Offset(7) };

    proptest! {
        #[test]
        fn is_a_sorted_map_of_each_owner(steps in prop::collection::vec((0u8..3, 0u32..60, any::<bool>(), 0u32..9), 1..300)) {
            let mut names = AssetNames::default();
            let mut model: BTreeMap<(String, String), String> = BTreeMap::new();
            for (owner, asset, is_put, name) in steps {
                let (owner, asset, name) = (format!("o{owner}"), format!("a{asset}"), format!("n{name}"));
                if is_put {
                    names.put(&owner, &asset, Some(&name), None, PLACE);
                    model.insert((owner, asset), name);
                } else {
                    names.remove(&owner, &asset);
                    model.remove(&(owner, asset));
                }
            }
            prop_assert_eq!(names.len(), model.len());
            for owner in ["o0", "o1", "o2"] {
                let mut own: Vec<_> = model.iter().filter(|((of, _), _)| of == owner).map(|((_, asset), name)| (asset.clone(), name.clone())).collect();
                own.sort_by(|a, b| in_order(&a.0, &b.0));
                let listed = |after: Option<&str>, limit| names.list(owner, None, after, limit);
                for digit in ["1", "A2", "n"] {
                    let has = |(asset, name): &&(String, String)| format!("{asset} {name}").contains(&digit.to_lowercase());
                    let expected: Vec<_> = own.iter().filter(has).map(|(asset, _)| asset.clone()).collect();
                    let (found, _) = names.list(owner, Some(digit), None, 1000);
                    prop_assert_eq!(found.into_iter().map(|entry| entry.asset).collect::<Vec<_>>(), expected);
                }
                let as_pair = |entry: AssetEntry| (entry.asset, entry.name.unwrap_or_default());
                prop_assert_eq!(listed(None, 1000).0.into_iter().map(as_pair).collect::<Vec<_>>(), own.clone());
                for (at, (asset, name)) in own.iter().enumerate() {
                    let found = names.find(owner, asset).and_then(|found| found.name);
                    prop_assert_eq!(found.as_ref(), Some(name));
                    let (page, has_more) = listed(Some(asset), 2);
                    prop_assert_eq!(page.len(), (own.len() - at - 1).min(2));
                    prop_assert_eq!(has_more, own.len() - at - 1 > 2);
                }
            }
        }
    }

    #[test]
    fn a_text_is_looked_for_in_ids_and_names() {
        let mut names = AssetNames::default();
        names.put("nw", "NW-7", Some("Excavator 36 t"), Some("B-HX 360"), PLACE);
        names.put("nw", "NW-8", None, Some("x\u{1f}y"), PLACE);
        let found_of = |names: &AssetNames, text: &str| -> Vec<String> {
            names.list("nw", Some(text), None, 9).0.into_iter().map(|entry| entry.asset).collect()
        };
        let found = |text: &str| found_of(&names, text);
        assert_eq!(
            (found("EXCAV"), found("b-hx"), found("nw-"), found("none")),
            (vec!["NW-7".to_owned()], vec!["NW-7".to_owned()], vec!["NW-7".to_owned(), "NW-8".to_owned()], vec![])
        );
        assert_eq!(names.find("nw", "NW-8").unwrap().reference.as_deref(), Some("x y"));
        names.put("nw", "NW-7", Some("Große"), Some("ß\u{1e}x"), RecordPlace { partition: 2, offset: Offset(9) });
        assert_eq!(
            (found_of(&names, "GROSSE"), found_of(&names, "große"), found_of(&names, "x"), found_of(&names, "\u{1e}").len()),
            (vec![], vec!["NW-7".to_owned()], vec!["NW-7".to_owned(), "NW-8".to_owned()], 0)
        );
        assert_eq!(names.place("nw", "NW-7"), Some(RecordPlace { partition: 2, offset: Offset(9) }));
        names.put("nw", "NW-7", None, None, PLACE);
        assert_eq!((names.place("nw", "NW-7"), names.find("other", "NW-7")), (Some(PLACE), None));
    }
}
