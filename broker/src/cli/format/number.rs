//! How numbers are written and read.

/// A way to write a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberFormat {
    /// Decimal digits.
    Ascii,
    /// `true` unless zero.
    Bool,
    /// The low bits as that many hexadecimal digits.
    Hex(usize),
    /// The low bytes, most significant first.
    Big(usize),
    /// The low bytes, least significant first.
    Little(usize),
}

impl NumberFormat {
    /// Reads the name of a format.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ascii" | "number" => Self::Ascii,
            "bool" => Self::Bool,
            "hex64" => Self::Hex(16),
            "hex32" => Self::Hex(8),
            "hex16" => Self::Hex(4),
            "hex8" => Self::Hex(2),
            "hex4" => Self::Hex(1),
            "big64" => Self::Big(8),
            "big32" => Self::Big(4),
            "big16" => Self::Big(2),
            "byte" | "big8" => Self::Big(1),
            "little64" => Self::Little(8),
            "little32" => Self::Little(4),
            "little16" => Self::Little(2),
            "little8" => Self::Little(1),
            _ => return None,
        })
    }

    /// Writes a number; what does not fit is cut off at the top.
    pub(super) fn write(self, number: i64, output: &mut Vec<u8>) {
        let big = number.to_be_bytes();
        match self {
            Self::Ascii => output.extend_from_slice(number.to_string().as_bytes()),
            Self::Bool => output.extend_from_slice(if number == 0 { b"false" } else { b"true" }),
            Self::Hex(digits) => {
                let all = format!("{number:016x}");
                output.extend_from_slice(
                    all.get(16usize.saturating_sub(digits)..)
                        .unwrap_or(&all)
                        .as_bytes(),
                );
            }
            Self::Big(size) => {
                output.extend_from_slice(big.get(8usize.saturating_sub(size)..).unwrap_or(&big))
            }
            Self::Little(size) => output.extend(number.to_le_bytes().iter().take(size)),
        }
    }

    /// Returns how many bytes an encoded number takes; `None` for those that end where their characters end.
    pub(super) fn encoded_size(self) -> Option<usize> {
        match self {
            Self::Ascii | Self::Bool => None,
            Self::Hex(size) | Self::Big(size) | Self::Little(size) => Some(size),
        }
    }

    /// Reads an encoded number.
    pub(super) fn read(self, bytes: &[u8]) -> Option<i64> {
        let text = || std::str::from_utf8(bytes).ok();
        match self {
            Self::Ascii => text()?.parse().ok(),
            Self::Bool => match bytes {
                b"true" => Some(1),
                b"false" => Some(0),
                _ => None,
            },
            Self::Hex(_) => u64::from_str_radix(text()?, 16).ok().map(u64::cast_signed),
            Self::Big(_) => Some(
                bytes
                    .iter()
                    .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
                    .cast_signed(),
            ),
            Self::Little(_) => Some(
                bytes
                    .iter()
                    .rev()
                    .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
                    .cast_signed(),
            ),
        }
    }
}
