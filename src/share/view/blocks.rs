//! Which shares of a long list can have a text, a state or a target, so that whoever looks for one looks at few of them.

use std::ops::Range;
use std::sync::Arc;

use crate::share::lifecycle::record::{ShareNumber, TenantNumber};
use crate::share::paged_vec::PagedVec;
use crate::share::state::State;
use crate::share::status::{Audience, Document};
use crate::share::table::ShareTable;
use crate::share::view::text_bits::{TextBits, TextNeedle};

/// So many shares in a block. Small in tests, so that there are several.
const BLOCK: u32 = if cfg!(test) { 2 } else { 128 };
/// A list of so few is looked through as it is.
const SHORT: u32 = if cfg!(test) { 3 } else { 1024 };
/// Bits of a block for targets.
const TARGET_BITS: usize = 256;

/// Of the shares of one list, block by block, which short parts their texts have, their states and their targets. It is made of what
/// the list's own viewer sees and of nothing else: how long a search takes says nothing of others' shares. What a share was before
/// stays noted.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShareBlocks {
    /// By their first share. None while the list is short.
    blocks: PagedVec<ShareBlock, 16>,
    /// How many shares the list has.
    shares: u32,
    /// The largest number of a share in the blocks.
    last: ShareNumber,
}

/// Shares from one number on, up to the next block's first.
#[derive(Debug, Clone, Default)]
struct ShareBlock {
    first: ShareNumber,
    shares: u32,
    /// None in a place that holds no block yet.
    notes: Option<Arc<BlockNotes>>,
}

/// What the shares of a block have.
#[derive(Debug, Clone, Default)]
struct BlockNotes {
    texts: TextBits,
    targets: [u64; TARGET_BITS / 64],
    states: u16,
}

const _: () = assert!(State::ALL.len() <= u16::BITS as usize);

/// What one share has.
#[derive(Debug, Default)]
pub(crate) struct ShareNotes {
    texts: Vec<u16>,
    targets: Vec<u8>,
    states: u16,
    lower: String,
}

impl ShareNotes {
    /// What this audience sees of a share, and can look for.
    fn read(&mut self, table: &ShareTable, number: ShareNumber, audience: Audience) -> &Self {
        let document = table.share_at(number).document();
        self.texts.clear();
        self.targets.clear();
        self.targets.extend(document.target_tenant.and_then(|target| table.tenants.find(target)).map(target_bit));
        self.states = 1 << document.state as u16;
        self.read_texts(&document, audience);
        self
    }

    fn read_texts(&mut self, document: &Document<'_>, audience: Audience) {
        let own = [document.asset_for(audience), document.invitee_for(audience)];
        let texts = own.into_iter().chain([document.target_asset, document.label, document.target_tenant]);
        texts.flatten().for_each(|text| self.add(text));
    }

    fn add(&mut self, text: &str) {
        self.lower.clear();
        if text.is_ascii() {
            self.lower.push_str(text);
            self.lower.make_ascii_lowercase();
        } else {
            self.lower.push_str(&text.to_lowercase());
        }
        self.texts.extend(TextBits::parts(&self.lower));
    }
}

/// What a block has of each share that is looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockNeedle {
    text: TextNeedle,
    /// One of them; any where none is named.
    targets: Option<Vec<u8>>,
    states: u16,
}

impl BlockNeedle {
    /// That of a text in lower case, of some states and some targets; of any where none is named.
    pub(crate) fn of(lower: Option<&str>, states: &[State], targets: Option<&[TenantNumber]>) -> Self {
        let text = TextNeedle::of(lower.unwrap_or_default());
        let targets = targets.map(|targets| targets.iter().copied().map(target_bit).collect());
        Self { text, targets, states: states.iter().fold(0, |all, state| all | 1 << *state as u16) }
    }

    /// Whether it is in every block.
    fn is_everywhere(&self) -> bool {
        self.text.is_empty() && self.targets.is_none() && self.states == 0
    }
}

fn target_bit(target: TenantNumber) -> u8 {
    (target.0.wrapping_mul(0x9e37_79b1) >> (u32::BITS - TARGET_BITS.ilog2())) as u8
}

impl BlockNotes {
    fn add(&mut self, notes: &ShareNotes) {
        notes.texts.iter().for_each(|bit| self.texts.add(*bit));
        notes.targets.iter().for_each(|bit| self.targets[usize::from(*bit) / 64] |= 1 << (bit % 64));
        self.states |= notes.states;
    }

    fn has_target(&self, bit: u8) -> bool {
        self.targets[usize::from(bit) / 64] >> (bit % 64) & 1 == 1
    }

    fn has_all(&self, notes: &ShareNotes) -> bool {
        self.states & notes.states == notes.states
            && notes.targets.iter().all(|bit| self.has_target(*bit))
            && notes.texts.iter().all(|bit| self.texts.has(*bit))
    }

    fn may_have(&self, needle: &BlockNeedle) -> bool {
        (needle.states == 0 || self.states & needle.states != 0)
            && needle.targets.as_ref().is_none_or(|targets| targets.iter().any(|bit| self.has_target(*bit)))
            && self.texts.may_have(&needle.text)
    }
}

impl ShareBlock {
    fn add(&mut self, notes: &ShareNotes) {
        Arc::make_mut(self.notes.get_or_insert_with(Arc::default)).add(notes);
    }
}

impl ShareBlocks {
    /// Takes in what a share of the list is now. `list` has all of its shares.
    pub(crate) fn take(
        &mut self,
        table: &ShareTable,
        (number, is_new): (ShareNumber, bool),
        audience: Audience,
        list: impl Iterator<Item = ShareNumber>,
        notes: &mut ShareNotes,
    ) {
        self.shares += u32::from(is_new);
        if self.shares <= SHORT {
            return;
        }
        if self.blocks.len() == 0 {
            list.for_each(|number| self.note_new(number, notes.read(table, number, audience)));
        } else if is_new {
            self.note_new(number, notes.read(table, number, audience));
        } else {
            self.note(number, notes.read(table, number, audience));
        }
    }

    /// Notes a share that is new in the list.
    fn note_new(&mut self, number: ShareNumber, notes: &ShareNotes) {
        // What comes late belongs between others.
        let is_full = |newest: u32| self.blocks[newest].shares >= BLOCK && number > self.last;
        if self.blocks.len().checked_sub(1).is_none_or(is_full) {
            self.blocks.push(ShareBlock { first: number, shares: 0, notes: None });
        }
        self.last = self.last.max(number);
        let at = self.block_of(number);
        self.blocks[at].shares += 1;
        self.blocks[at].add(notes);
    }

    /// Notes what a share of the list is now.
    fn note(&mut self, number: ShareNumber, notes: &ShareNotes) {
        let at = self.block_of(number);
        let is_known = |block: &ShareBlock| block.notes.as_ref().is_some_and(|known| known.has_all(notes));
        if self.blocks.get(at).is_some_and(|block| !is_known(block)) {
            self.blocks[at].add(notes);
        }
    }

    /// The block that a share is in. What comes late and is older than all is in the first.
    fn block_of(&self, number: ShareNumber) -> u32 {
        let (mut from, mut to) = (0, self.blocks.len());
        while from < to {
            let middle = from.midpoint(to);
            if self.blocks[middle].first <= number { from = middle + 1 } else { to = middle }
        }
        from.saturating_sub(1)
    }

    /// The numbers before `before` that the list's shares of this kind are among, the last range first.
    pub(crate) fn ranges(&self, needle: BlockNeedle, before: ShareNumber) -> impl Iterator<Item = Range<ShareNumber>> {
        let blocks = if needle.is_everywhere() { 0 } else { self.blocks.len() };
        let all = (blocks == 0).then_some(ShareNumber(0)..before);
        let range = move |at: u32| {
            let begins = if at == 0 { ShareNumber(0) } else { self.blocks[at].first };
            let ends = self.blocks.get(at + 1).map_or(before, |next| next.first.min(before));
            let may_have = |at: u32| self.blocks[at].notes.as_ref().is_some_and(|notes| notes.may_have(&needle));
            (begins < ends && may_have(at)).then_some(begins..ends)
        };
        (0..blocks).rev().filter_map(range).chain(all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notes(text: &str) -> ShareNotes {
        let mut notes = ShareNotes::default();
        notes.add(text);
        notes
    }

    /// As a list takes its shares in, which are called so.
    fn blocks_of(shares: &[(u32, String)]) -> ShareBlocks {
        let mut blocks = ShareBlocks::default();
        for (number, text) in shares {
            blocks.shares += 1;
            blocks.note_new(ShareNumber(*number), &notes(text));
        }
        blocks
    }

    fn text(text: &str) -> BlockNeedle {
        BlockNeedle::of(Some(text), &[], None)
    }

    proptest! {
        /// Shares come in any order, and are called something else later.
        #[test]
        fn every_share_that_has_the_text_is_in_a_range(
            shares in prop::collection::btree_map(0u32..60, "[a-cA-Cä]{0,5}", 0..40).prop_map(Vec::from_iter).prop_shuffle(),
            again in prop::collection::vec((0u32..60, "[a-cA-Cä]{0,5}"), 0..10),
            needle in "[a-cä]{1,4}",
            before in 0u32..70,
        ) {
            let mut blocks = blocks_of(&shares);
            let mut texts = shares.clone();
            for (number, called) in again {
                if shares.iter().any(|(known, _)| *known == number) {
                    blocks.note(ShareNumber(number), &notes(&called));
                    texts.push((number, called));
                }
            }
            let ranges: Vec<_> = blocks.ranges(text(&needle), ShareNumber(before)).collect();
            prop_assert!(ranges.is_sorted_by(|a, b| a.start >= b.end), "{:?}", ranges);
            for (number, called) in texts {
                let has = number < before && called.to_lowercase().contains(&needle);
                prop_assert!(!has || ranges.iter().any(|range| range.contains(&ShareNumber(number))), "{} {} {:?}", number, called, ranges);
            }
        }
    }

    #[test]
    fn blocks_without_the_text_are_passed_over() {
        let shares: Vec<_> = (0..100).map(|number| (number, format!("NW-{}", number / 10))).collect();
        let blocks = blocks_of(&shares);
        let count = |needle| -> u32 { blocks.ranges(needle, ShareNumber(100)).map(|range| range.end.0 - range.start.0).sum() };
        assert_eq!(["nw-", "w-7", "none", "q", "qz", ""].map(text).map(count), [100, 10, 0, 0, 0, 100]);
        let of = |states: &[State], targets| count(BlockNeedle::of(None, states, targets));
        let states = |states: &[State]| BlockNeedle::of(None, states, None).states;
        assert_eq!(states(&[State::Active, State::Left, State::Active]), states(&[State::Active]) | states(&[State::Left]), "named twice");
        assert_eq!((of(&[State::Left], None), of(&[], Some(&[TenantNumber(1)])), of(&[], None)), (0, 0, 100));
    }
}
