//! Names of millions of assets in little memory: one text an asset, sorted runs of them, an owner once.

use rustc_hash::FxHashMap;

use crate::explain::RecordPlace;
use crate::id::Offset;
use crate::share::view::search::has;

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
/// Between the texts of an entry, and no part of an id: it is a control character.
const BETWEEN: char = '\u{1f}';

/// The assets of each owner, by id.
#[derive(Debug, Default)]
pub(crate) struct AssetNames {
    owners: FxHashMap<Box<str>, Vec<Vec<PackedAsset>>>,
    count: usize,
}

/// An asset's id, name and reference in one text, and where its document is: 32 bytes beside the text.
#[derive(Debug)]
struct PackedAsset {
    /// `id 0x1f name 0x1f reference`.
    texts: Box<str>,
    offset: i64,
    partition: i32,
}

// The budget beside the text is 120 bytes.
const _: () = assert!(size_of::<PackedAsset>() <= 32);

impl PackedAsset {
    fn new(asset: &str, name: Option<&str>, reference: Option<&str>, place: RecordPlace) -> Self {
        let clean = |text: Option<&str>| text.unwrap_or_default().replace(BETWEEN, " ");
        let texts = format!("{asset}{BETWEEN}{}{BETWEEN}{}", clean(name), clean(reference));
        Self { texts: texts.into(), offset: place.offset.0, partition: place.partition }
    }

    fn asset(&self) -> &str {
        self.texts.split(BETWEEN).next().unwrap_or_default()
    }

    fn entry(&self) -> AssetEntry {
        let mut texts = self.texts.split(BETWEEN).map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
        let asset = texts.next().flatten().unwrap_or_default();
        AssetEntry { asset, name: texts.next().flatten(), reference: texts.next().flatten() }
    }

    fn has(&self, lower: &str) -> bool {
        has(&self.texts, lower)
    }
}

impl AssetNames {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes an asset in, or what it is called now.
    pub(super) fn put(&mut self, owner: &str, asset: &str, name: Option<&str>, reference: Option<&str>, place: RecordPlace) {
        let packed = PackedAsset::new(asset, name, reference, place);
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.into(), Vec::new());
        }
        let Some(runs) = self.owners.get_mut(owner) else { return };
        if runs.is_empty() {
            runs.push(vec![packed]);
            self.count += 1;
            return;
        }
        let run = run_of(runs, asset);
        match runs[run].binary_search_by(|known| known.asset().cmp(asset)) {
            Ok(at) => runs[run][at] = packed,
            Err(at) => {
                runs[run].insert(at, packed);
                self.count += 1;
            }
        }
        if runs[run].len() > MOST {
            // Where ids come in order, the full run stays full.
            let keeps = if run + 1 == runs.len() { MOST } else { MOST / 2 };
            let behind = runs[run].split_off(keeps);
            runs[run].shrink_to_fit();
            runs.insert(run + 1, behind);
        }
    }

    /// The asset has no document any more.
    pub(super) fn remove(&mut self, owner: &str, asset: &str) {
        let Some(runs) = self.owners.get_mut(owner).filter(|runs| !runs.is_empty()) else { return };
        let run = run_of(runs, asset);
        if let Ok(at) = runs[run].binary_search_by(|known| known.asset().cmp(asset)) {
            runs[run].remove(at);
            self.count -= 1;
            if runs[run].is_empty() {
                runs.remove(run);
            }
        }
    }

    fn packed(&self, owner: &str, asset: &str) -> Option<&PackedAsset> {
        let runs = self.owners.get(owner).filter(|runs| !runs.is_empty())?;
        let run = &runs[run_of(runs, asset)];
        run.binary_search_by(|known| known.asset().cmp(asset)).ok().map(|at| &run[at])
    }

    /// What an asset is called.
    pub(super) fn find(&self, owner: &str, asset: &str) -> Option<AssetEntry> {
        self.packed(owner, asset).map(PackedAsset::entry)
    }

    /// Where its document is.
    pub(super) fn place(&self, owner: &str, asset: &str) -> Option<RecordPlace> {
        self.packed(owner, asset).map(|packed| RecordPlace { partition: packed.partition, offset: Offset(packed.offset) })
    }

    /// An owner's assets that have the text, by id, those after `after`, at most `limit`; whether there are more.
    pub(super) fn list(&self, owner: &str, text: Option<&str>, after: Option<&str>, limit: usize) -> (Vec<AssetEntry>, bool) {
        let Some(runs) = self.owners.get(owner).filter(|runs| !runs.is_empty()) else { return (Vec::new(), false) };
        let lower = text.map(str::to_lowercase);
        let first = after.map_or(0, |after| run_of(runs, after));
        let rest = runs[first..].iter().flatten().skip_while(|packed| after.is_some_and(|after| packed.asset() <= after));
        let mut found = rest.filter(|packed| lower.as_ref().is_none_or(|lower| packed.has(lower)));
        let entries: Vec<AssetEntry> = found.by_ref().take(limit).map(PackedAsset::entry).collect();
        (entries, found.next().is_some())
    }
}

/// The run that an asset is on, or belongs on.
fn run_of(runs: &[Vec<PackedAsset>], asset: &str) -> usize {
    runs.partition_point(|run| run.first().is_some_and(|first| first.asset() <= asset)).saturating_sub(1)
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
                let own: Vec<_> = model.iter().filter(|((of, _), _)| of == owner).map(|((_, asset), name)| (asset.clone(), name.clone())).collect();
                let listed = |after: Option<&str>, limit| names.list(owner, None, after, limit);
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
        let found = |text: &str| names.list("nw", Some(text), None, 9).0.into_iter().map(|entry| entry.asset).collect::<Vec<_>>();
        assert_eq!(
            (found("EXCAV"), found("b-hx"), found("nw-"), found("none")),
            (vec!["NW-7".to_owned()], vec!["NW-7".to_owned()], vec!["NW-7".to_owned(), "NW-8".to_owned()], vec![])
        );
        assert_eq!(names.find("nw", "NW-8").unwrap().reference.as_deref(), Some("x y"));
        assert_eq!((names.place("nw", "NW-7"), names.find("other", "NW-7")), (Some(PLACE), None));
    }
}
