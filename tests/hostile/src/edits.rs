//! Damage to a file, read from an input: a list of edits, each with a place.
//!
//! Whole files under checksums are out of reach for bytes that are merely random. So the targets that read files start
//! with valid ones and take the damage from the input.

use crate::input::Input;

/// Edits of one input at most.
const EDITS_MAX: usize = 16;
/// Bytes that one edit adds at most.
const ADDED_MAX: usize = 4096;

/// One change of one file.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// Which file: to be taken modulo their number.
    pub file: u8,
    /// Where, in 65536ths of the file, rounded down to a multiple of `step`.
    place: u16,
    step: usize,
    change: Change<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    Xor(&'a [u8]),
    Set(&'a [u8]),
    Zero(usize),
    Truncate,
    Insert(&'a [u8]),
    Remove(usize),
    /// Copies what lies elsewhere in the file: place of the source and length.
    Copy(u16, usize),
    Append(&'a [u8]),
}

/// Reads the edits of an input.
pub fn read(mut input: Input<'_>) -> Vec<Edit<'_>> {
    let mut edits = Vec::new();
    while !input.is_empty() && edits.len() < EDITS_MAX {
        let (kind, file, place) = (input.u8(), input.u8(), input.u16());
        let step = [1, 1, 8, 512, 4096][usize::from(kind >> 4) % 5];
        let len = usize::from(input.u8());
        let change = match kind % 8 {
            0 => Change::Xor(input.take(1 + len % 16)),
            1 => Change::Set(input.take(1 + len % 64)),
            2 => Change::Zero(step * (1 + len)),
            3 => Change::Truncate,
            4 => Change::Insert(input.take(1 + len)),
            5 => Change::Remove(step * (1 + len % 16)),
            6 => Change::Copy(input.u16(), step * (1 + len % 16)),
            _ => Change::Append(input.take(1 + len)),
        };
        edits.push(Edit {
            file,
            place,
            step,
            change,
        });
    }
    edits
}

impl Edit<'_> {
    /// Changes a file. Returns the range of bytes that the edit chose freely: those of which it may have written a
    /// checksum.
    pub fn apply(&self, bytes: &mut Vec<u8>) -> std::ops::Range<usize> {
        let at = self.position(self.place, bytes.len());
        let end = |len: usize| (at + len).min(bytes.len());
        match self.change {
            Change::Xor(with) => {
                let range = at..end(with.len());
                bytes[range.clone()]
                    .iter_mut()
                    .zip(with)
                    .for_each(|(byte, with)| *byte ^= with);
                range
            }
            Change::Set(with) => {
                let range = at..end(with.len());
                bytes[range.clone()]
                    .iter_mut()
                    .zip(with)
                    .for_each(|(byte, with)| *byte = *with);
                range
            }
            Change::Zero(len) => {
                let range = at..end(len);
                bytes[range].fill(0);
                at..at
            }
            Change::Truncate => {
                bytes.truncate(at);
                at..at
            }
            Change::Insert(with) => {
                bytes.splice(at..at, with.iter().copied());
                at..at + with.len()
            }
            Change::Remove(len) => {
                bytes.drain(at..end(len));
                at..at
            }
            Change::Copy(from, len) => {
                let from = self.position(from, bytes.len());
                let source = bytes[from..(from + len).min(bytes.len())].to_vec();
                let range = at..end(source.len());
                bytes[range.clone()].copy_from_slice(&source[..range.len()]);
                at..at
            }
            Change::Append(with) => {
                let old = bytes.len();
                bytes.extend_from_slice(&with[..with.len().min(ADDED_MAX)]);
                old..bytes.len()
            }
        }
    }

    /// Reports whether bytes behind the place keep their positions.
    pub fn keeps_positions(&self) -> bool {
        !matches!(self.change, Change::Insert(_) | Change::Remove(_))
    }

    fn position(&self, place: u16, len: usize) -> usize {
        let at = (len * usize::from(place)) >> 16;
        at / self.step * self.step
    }
}
