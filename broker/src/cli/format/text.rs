//! How keys, values and names are written and read.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// A way to write bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextFormat {
    /// As they are.
    Raw,
    /// Two hexadecimal digits for each.
    Hex,
    /// RFC 4648 §4 with padding.
    Base64,
    /// RFC 4648 §4 without padding.
    Base64Raw,
    /// Numbers and strings inside, one step after another.
    Unpack(Vec<UnpackStep>),
}

/// One step through binary text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnpackStep {
    /// Writes a blank, reads nothing.
    Pad,
    /// Reads an integer of `size` bytes.
    Integer {
        size: usize,
        signed: bool,
        big_endian: bool,
    },
    /// Reads one byte and writes it.
    Character,
    /// Reads the rest and writes it.
    Rest,
    /// Says so if anything is left.
    End,
}

impl TextFormat {
    /// Reads the name of a format (all but `unpack`).
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "" | "raw" | "ascii" => Self::Raw,
            "hex" => Self::Hex,
            "base64" => Self::Base64,
            "base64raw" => Self::Base64Raw,
            _ => return None,
        })
    }

    /// Reads the inner part of `unpack[…]`.
    pub(super) fn parse_unpack(steps: &str) -> Result<Self, String> {
        let mut big_endian = true;
        let mut parsed = Vec::new();
        for letter in steps.chars() {
            let integer = |size, signed| UnpackStep::Integer {
                size,
                signed,
                big_endian,
            };
            parsed.push(match letter {
                '<' | '>' => {
                    big_endian = letter == '>';
                    continue;
                }
                'x' => UnpackStep::Pad,
                'b' => integer(1, true),
                'B' => integer(1, false),
                'h' => integer(2, true),
                'H' => integer(2, false),
                'i' => integer(4, true),
                'I' => integer(4, false),
                'q' => integer(8, true),
                'Q' => integer(8, false),
                'c' | '.' => UnpackStep::Character,
                's' => UnpackStep::Rest,
                '$' => UnpackStep::End,
                other => {
                    return Err(format!(
                        "unpack knows x < > b B h H i I q Q c . s $, not '{other}'"
                    ));
                }
            });
        }
        Ok(Self::Unpack(parsed))
    }

    /// Writes bytes.
    pub(super) fn write(&self, bytes: &[u8], output: &mut Vec<u8>) {
        match self {
            Self::Raw => output.extend_from_slice(bytes),
            Self::Hex => bytes
                .iter()
                .for_each(|byte| output.extend_from_slice(format!("{byte:02x}").as_bytes())),
            Self::Base64 => output.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
            Self::Base64Raw => output.extend_from_slice(STANDARD_NO_PAD.encode(bytes).as_bytes()),
            Self::Unpack(steps) => unpack(steps, bytes, output),
        }
    }

    /// Undoes [`TextFormat::write`]; `None` if the bytes are not in this format.
    pub(super) fn read(&self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Raw => Some(bytes),
            Self::Hex => unhex(&bytes),
            Self::Base64 => STANDARD.decode(bytes).ok(),
            Self::Base64Raw => STANDARD_NO_PAD.decode(bytes).ok(),
            Self::Unpack(_) => None,
        }
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    rest.is_empty().then(|| bytes.collect())?
}

fn unpack(steps: &[UnpackStep], bytes: &[u8], output: &mut Vec<u8>) {
    let mut rest = bytes;
    for step in steps {
        match step {
            UnpackStep::Pad => output.push(b' '),
            UnpackStep::Integer {
                size,
                signed,
                big_endian,
            } => {
                let Some((head, tail)) = rest.split_at_checked(*size) else {
                    output.extend_from_slice(
                        format!("(needs {size} bytes, {} are left)", rest.len()).as_bytes(),
                    );
                    return;
                };
                rest = tail;
                output.extend_from_slice(integer(head, *signed, *big_endian).to_string().as_bytes());
            }
            UnpackStep::Character => {
                let Some((first, tail)) = rest.split_first() else {
                    output.extend_from_slice(b"(needs 1 byte, 0 are left)");
                    return;
                };
                rest = tail;
                output.push(*first);
            }
            UnpackStep::Rest => output.extend_from_slice(std::mem::take(&mut rest)),
            UnpackStep::End if rest.is_empty() => {}
            UnpackStep::End => {
                output.extend_from_slice(format!("({} bytes are left)", rest.len()).as_bytes())
            }
        }
    }
}

fn integer(bytes: &[u8], signed: bool, big_endian: bool) -> i128 {
    let add = |sum: i128, byte: &u8| sum << 8 | i128::from(*byte);
    let value = if big_endian {
        bytes.iter().fold(0, add)
    } else {
        bytes.iter().rev().fold(0, add)
    };
    let range = 1i128 << (8 * bytes.len());
    if signed && value >= range / 2 {
        value - range
    } else {
        value
    }
}
