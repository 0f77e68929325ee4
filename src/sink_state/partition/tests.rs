//! What one partition's state keeps, and what of it a transaction changes.

use crate::sink_state::partition::*;

const STREAM: StreamIndex = StreamIndex(0);

fn entry(key: &str) -> SinkEntry {
    SinkEntry {
        target: tenant(),
        key: AssetId::parse(key).unwrap(),
        digest: Digest(1),
        asset: AssetHash::of(Identity { tenant: "nw", asset: "a" }),
    }
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn share(id: &str) -> ShareId {
    ShareId::parse(id).unwrap()
}

#[test]
fn a_draft_is_seen_at_once_and_kept_when_it_is_committed() {
    let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
    let mut state = PartitionState::new(STREAM, Offset(5), [(hash, Offset(7))].into_iter().collect());
    assert_eq!(state.document(hash), Current::Awaited, "it lies after the position");
    state.read(hash, Some(Offset(7)));
    state.draft(&share("s"), Some(entry("k")));
    state.advance(Offset(8));
    assert_eq!(state.document(hash), Current::At(Offset(7)));
    assert_eq!((state.entry(&share("s")), state.next_position(), state.position()), (Some(&entry("k")), Offset(8), Offset(5)));
    assert!(state.is_touched());
    state.begin();
    assert_eq!((state.document(hash), state.entry(&share("s")), state.is_touched()), (Current::Awaited, None, false));
    state.read(hash, Some(Offset(7)));
    state.advance(Offset(8));
    state.commit();
    assert_eq!((state.document(hash), state.position(), state.is_touched()), (Current::At(Offset(7)), Offset(8), false));
    state.read(hash, None);
    state.commit();
    assert_eq!(state.document(hash), Current::Absent);
}

#[test]
fn a_gate_keeps_the_epoch_of_the_first_time() {
    let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
    let mut state = PartitionState::new(STREAM, Offset(0), FxHashMap::default());
    assert_eq!(state.gate(&share("s"), &tenant(), hash, Epoch(4)), Epoch(4));
    assert_eq!(state.gate(&share("s"), &tenant(), hash, Epoch(9)), Epoch(4));
    state.ungate(&share("s"));
    assert_eq!(state.gate(&share("s"), &tenant(), hash, Epoch(9)), Epoch(9));
}

#[test]
fn a_gate_is_left_by_what_is_committed_alone() {
    let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
    let mut state = PartitionState::new(STREAM, Offset(5), [(hash, Offset(3))].into_iter().collect());
    state.gate(&share("s"), &tenant(), hash, Epoch(4));
    let passing = |state: &PartitionState| state.passing(|gated| gated.needs <= Epoch(4));
    state.ungate_on_commit(&share("s"));
    assert_eq!(passing(&state), [Offset(3)]);
    state.forget(&share("s"));
    state.commit();
    assert_eq!(passing(&state), [Offset(3)], "it was not written after all");
    state.ungate_on_commit(&share("s"));
    state.commit();
    assert!(passing(&state).is_empty());
}

#[test]
fn what_is_lost_is_cleared_and_no_document_any_more() {
    let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
    let mut state = PartitionState::new(STREAM, Offset(5), [(hash, Offset(3))].into_iter().collect());
    state.found(share("s"), entry("k"));
    assert!(state.lose(&[Offset(4)]).is_empty() && !state.is_touched());
    assert_eq!(state.lose(&[Offset(3)]), [(share("s"), entry("k"))]);
    assert_eq!((state.document(hash), state.entry(&share("s")), state.is_touched()), (Current::Absent, None, true));
}

#[test]
fn what_a_topic_lost_is_written_again_whatever_it_is() {
    let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
    let mut state = PartitionState::new(STREAM, Offset(5), [(hash, Offset(3))].into_iter().collect());
    state.found(share("s"), entry("k"));
    assert_eq!(state.rewrite(&TenantId::parse("zenith").unwrap()), (0, vec![]));
    assert_eq!(state.rewrite(&tenant()), (1, vec![Offset(3)]));
    assert_ne!(state.entry(&share("s")).unwrap().digest, entry("k").digest);
}

fn write(state: &mut PartitionState, id: &str, entry: Option<SinkEntry>) {
    state.draft(&share(id), entry);
    state.commit();
}

#[test]
fn what_another_share_has_overwritten_no_longer_stands() {
    let mut state = PartitionState::whole(STREAM);
    write(&mut state, "b", Some(entry("k")));
    write(&mut state, "a", Some(entry("k")));
    assert_eq!((state.entry(&share("b")), state.entry(&share("a"))), (None, Some(&entry("k"))));
    write(&mut state, "b", Some(entry("l")));
    assert_eq!((state.entry(&share("b")), state.entry(&share("a"))), (Some(&entry("l")), Some(&entry("k"))));
    write(&mut state, "b", Some(entry("k")));
    assert_eq!((state.entry(&share("b")), state.entry(&share("a"))), (Some(&entry("k")), None));
    write(&mut state, "b", None);
    write(&mut state, "a", Some(entry("l")));
    assert_eq!((state.entry(&share("b")), state.entry(&share("a"))), (None, Some(&entry("l"))));
}
