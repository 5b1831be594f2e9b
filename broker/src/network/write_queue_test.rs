use proptest::prelude::*;

use super::*;

fn frame(parts: &[&'static [u8]]) -> Frame {
    let len = parts.iter().map(|part| part.len()).sum();
    Frame {
        parts: parts.iter().map(|part| Bytes::from_static(part)).collect(),
        len,
    }
}

#[test]
fn a_note_comes_back_with_the_last_byte_of_its_frame() {
    let mut queue = WriteQueue::new();
    queue.push(frame(&[b"abc", b"", b"de"]), 1);
    queue.push(frame(&[b"f"]), 2);
    assert_eq!(queue.pending_bytes(), 6);
    queue.advance(4);
    assert_eq!(queue.pop_finished(), None);
    queue.advance(1);
    assert_eq!(queue.pop_finished(), Some(1));
    assert_eq!(queue.pop_finished(), None);
    queue.advance(1);
    assert_eq!(queue.pop_finished(), Some(2));
    assert_eq!(queue.pending_bytes(), 0);
}

proptest! {
    #[test]
    fn any_sequence_of_partial_writes_yields_the_bytes_in_order(
        frames in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
            0..10,
        ),
        counts in prop::collection::vec(1usize..30, 1..400),
    ) {
        let mut queue = WriteQueue::new();
        let mut expected = Vec::new();
        for (index, parts) in frames.iter().enumerate() {
            let len = parts.iter().map(Vec::len).sum();
            expected.extend(parts.concat());
            queue.push(Frame { parts: parts.iter().cloned().map(Bytes::from).collect(), len }, index);
        }
        let mut written = Vec::new();
        let mut finished = Vec::new();
        for count in counts {
            let mut slices = [IoSlice::new(&[]); 3];
            let used = queue.fill(&mut slices);
            let offered: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = count.min(offered.len());
            written.extend(&offered[..taken]);
            queue.advance(taken);
            while let Some(note) = queue.pop_finished() {
                finished.push(note);
            }
        }
        prop_assert!(expected.starts_with(&written));
        if queue.pending_bytes() == 0 {
            prop_assert_eq!(written, expected);
            prop_assert_eq!(finished, (0..frames.len()).collect::<Vec<_>>());
        }
    }
}
