//! The value of a record in this workload: its name, its place and its source as text, then filler.

use super::{Place, Source, TransactionId, Write};

/// What a value says about its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// Which record it is.
    pub write: Write,
    /// Where it was sent.
    pub place: Place,
    /// The input it was made from.
    pub source: Option<Source>,
}

impl Value {
    /// The bytes: at least `size` of them.
    pub fn encode(&self, size: usize) -> Vec<u8> {
        let TransactionId { producer, number } = self.write.transaction;
        let Place { topic, partition } = self.place;
        let mut text = format!("{producer}/{number}/{}/{topic}/{partition}", self.write.index);
        if let Some(Source { place, offset }) = self.source {
            text.push_str(&format!("/{}/{}/{offset}", place.topic, place.partition));
        }
        text.push_str(&format!("/{size};"));
        let mut bytes = text.into_bytes();
        let filler = FILLER.iter().cycle().copied();
        let missing = size.saturating_sub(bytes.len());
        bytes.extend(filler.take(missing));
        bytes
    }

    /// Reads a value and compares every byte with what was written.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Value, String> {
        let damage = |what: &str| {
            let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
            format!("{what}: {begin:?}… ({} bytes)", bytes.len())
        };
        let end = bytes.iter().position(|byte| *byte == b';');
        let head = end.and_then(|end| std::str::from_utf8(&bytes[..end]).ok());
        let head = head.ok_or_else(|| damage("no name"))?;
        let numbers: Result<Vec<i64>, _> = head.split('/').map(str::parse::<i64>).collect();
        let numbers = numbers.map_err(|_| damage("not a number"))?;
        let (name, source, size) = match numbers.as_slice() {
            [producer, number, index, topic, partition, size] => {
                ([producer, number, index, topic, partition], None, *size)
            }
            [producer, number, index, topic, partition, from, at, offset, size] => (
                [producer, number, index, topic, partition],
                Some([from, at, offset]),
                *size,
            ),
            _ => return Err(damage("a name of another length")),
        };
        let value = Value::of_numbers(name, source).ok_or_else(|| damage("a number out of range"))?;
        let size = usize::try_from(size).map_err(|_| damage("a size out of range"))?;
        // `size` is compared before anything of that size is made.
        if bytes.len() < size || value.encode(size) != bytes {
            return Err(damage("changed bytes"));
        }
        Ok(value)
    }

    fn of_numbers(name: [&i64; 5], source: Option<[&i64; 3]>) -> Option<Value> {
        let place = |topic: &i64, partition: &i64| {
            Some(Place {
                topic: u32::try_from(*topic).ok()?,
                partition: i32::try_from(*partition).ok()?,
            })
        };
        let [producer, number, index, topic, partition] = name;
        let transaction = TransactionId {
            producer: u32::try_from(*producer).ok()?,
            number: u64::try_from(*number).ok()?,
        };
        let source = match source {
            Some([topic, partition, offset]) => Some(Source {
                place: place(topic, partition)?,
                offset: *offset,
            }),
            None => None,
        };
        Some(Value {
            write: Write {
                transaction,
                index: u32::try_from(*index).ok()?,
            },
            place: place(topic, partition)?,
            source,
        })
    }
}

const FILLER: &[u8] = b"the quick brown fox jumps over the lazy dog and comes back again ";

#[cfg(test)]
#[path = "value_test.rs"]
mod tests;
