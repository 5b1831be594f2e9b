//! A record's value that says which record it is, and shows damage to any of its bytes.

/// Which record this is. Unique over a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The topic's number: a topic that is created again under its old name gets a new one.
    pub topic: u32,
    /// The partition it was sent to.
    pub partition: i32,
    /// The producer that sent it.
    pub producer: u32,
    /// The place in the producer's order of sending, from 0.
    pub number: u64,
}

/// Why a value is not a stamped one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub String);

impl Stamp {
    /// The value of the record: `size` bytes, or as many more as the stamp needs.
    pub fn value(&self, size: usize) -> Vec<u8> {
        let mut value = format!(
            "{}/{}/{}/{}/{size}:",
            self.topic, self.partition, self.producer, self.number
        )
        .into_bytes();
        let begin = value.len();
        value.resize(size.max(begin), 0);
        self.fill(&mut value[begin..]);
        value
    }

    /// Reads the stamp of a value and checks every byte of it.
    pub fn of(value: &[u8]) -> Result<Stamp, Damage> {
        let damage = |what: &str| {
            let begin = String::from_utf8_lossy(&value[..value.len().min(60)]).into_owned();
            Damage(format!("{what}: {begin:?}… ({} bytes)", value.len()))
        };
        let end = value.iter().position(|byte| *byte == b':');
        let head = end.and_then(|end| std::str::from_utf8(&value[..end]).ok());
        let head = head.ok_or_else(|| damage("no stamp"))?;
        let mut words = head.split('/');
        let mut word = || words.next().ok_or_else(|| damage("short stamp"));
        let number = |_| damage("not a number");
        let stamp = Stamp {
            topic: word()?.parse().map_err(number)?,
            partition: word()?.parse().map_err(number)?,
            producer: word()?.parse().map_err(number)?,
            number: word()?.parse().map_err(number)?,
        };
        let size: usize = word()?.parse().map_err(number)?;
        let filler = &value[head.len() + 1..];
        if value.len() != size.max(head.len() + 1) {
            return Err(damage("wrong length"));
        }
        let mut expected = vec![0; filler.len()];
        stamp.fill(&mut expected);
        if filler == expected {
            Ok(stamp)
        } else {
            Err(damage("changed bytes"))
        }
    }

    /// Bytes that depend on the whole stamp and do not compress well.
    fn fill(&self, bytes: &mut [u8]) {
        let partition = u64::from(self.partition.unsigned_abs());
        let seed =
            self.number ^ u64::from(self.topic) << 48 ^ u64::from(self.producer) << 40 ^ partition << 56;
        let mut chance = crate::chance::Chance::new(seed);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&chance.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
#[path = "stamp_test.rs"]
mod tests;
