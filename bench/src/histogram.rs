//! A latency histogram of fixed size with a bounded relative error, in the manner of HdrHistogram.
//!
//! Values are nanoseconds. Each power of two is cut into [`STEPS`] parts, so that a percentile is at most 1/64 above
//! the true value, at any value, in 30 KiB of memory.

/// Parts of each power of two.
const STEPS: u64 = 64;
/// log2 of [`STEPS`].
const STEP_BITS: u32 = 6;

/// Counts of values.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: vec![0; place(u64::MAX) + 1],
            total: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Notes `value` nanoseconds, `times` times.
    pub fn note(&mut self, value: u64, times: u64) {
        self.counts[place(value)] += times;
        self.total += times;
        self.max = self.max.max(value);
    }

    /// Notes everything that `other` has.
    pub fn add(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many values were noted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The largest value noted, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The least value that `percent` of all values do not exceed, at most 1/64 too large; 0 when nothing was noted.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = (self.total as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(place).min(self.max);
            }
        }
        self.max
    }
}

/// Values below [`STEPS`] have places of their own; above, the leading bits decide.
fn place(value: u64) -> usize {
    let index = if value < STEPS {
        value
    } else {
        let shift = value.ilog2() - STEP_BITS;
        (u64::from(shift) + 1) * STEPS + ((value >> shift) - STEPS)
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The largest value of a place.
fn upper_end(place: usize) -> u64 {
    let place = place as u64;
    if place < STEPS {
        return place;
    }
    let shift = place / STEPS - 1;
    let leading = u128::from(place % STEPS + STEPS + 1);
    u64::try_from((leading << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "histogram_test.rs"]
mod tests;
