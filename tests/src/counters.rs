//! Numbers from `/metrics`, and their sums over the lives of a broker that is killed again and again.

use std::collections::BTreeMap;

use crate::http;

/// Sums of all series by family name, labels left out.
pub type Numbers = BTreeMap<String, f64>;

/// Asks a broker for its numbers.
///
/// # Errors
/// Those of the connection, and an answer other than 200.
pub fn scrape(address: &str) -> std::io::Result<Numbers> {
    let answer = http::get(address, "/metrics")?;
    if answer.status != 200 {
        return Err(std::io::Error::other(format!(
            "/metrics answers {}",
            answer.status
        )));
    }
    Ok(parse(&answer.body))
}

/// Reads Prometheus' text format; a line that is not `name{labels} value` is passed over.
pub fn parse(text: &str) -> Numbers {
    let mut numbers = Numbers::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let value = line
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        if let Some(value) = value.filter(|_| !name.is_empty()) {
            *numbers.entry(name.to_owned()).or_default() += value;
        }
    }
    numbers
}

/// Counters summed over several lives of a process; what a life counted after its last look is not in it.
#[derive(Debug, Default, Clone)]
pub struct Lives {
    past: Numbers,
    present: Numbers,
}

impl Lives {
    /// Takes note of the numbers of the present life.
    pub fn look(&mut self, numbers: Numbers) {
        self.present = numbers;
    }

    /// The present life ended.
    pub fn end(&mut self) {
        for (name, value) in std::mem::take(&mut self.present) {
            *self.past.entry(name).or_default() += value;
        }
    }

    /// The sum of one counter.
    pub fn total(&self, name: &str) -> f64 {
        let of = |numbers: &Numbers| numbers.get(name).copied().unwrap_or(0.0);
        of(&self.past) + of(&self.present)
    }
}

#[cfg(test)]
#[path = "counters_test.rs"]
mod tests;
