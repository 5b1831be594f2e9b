//! Prometheus' text format 0.0.4, read strictly: what a scraper would take but should not have been sent is an error.
//!
//! Beyond the grammar: HELP and TYPE once for each family and before its samples, a family in one piece, no series
//! twice, `_total` on counters and on nothing else, histograms that add up.

use std::collections::{BTreeMap, BTreeSet};

/// Label names and values, by name.
pub type Labels = BTreeMap<String, String>;

/// One scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape {
    /// By name, without the suffixes of a histogram's samples.
    pub families: BTreeMap<String, Family>,
}

/// One family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Family {
    /// `gauge`, `counter` or `histogram`.
    pub kind: String,
    /// What HELP says.
    pub help: String,
    /// Sample names with their labels and values, in their order.
    pub samples: Vec<(String, Labels, f64)>,
}

impl Scrape {
    /// Reads a whole scrape.
    ///
    /// # Errors
    /// The first line that breaks a rule, with the rule.
    pub fn parse(text: &str) -> Result<Scrape, String> {
        let mut scrape = Scrape::default();
        let mut current: Option<String> = None;
        let mut series = BTreeSet::new();
        if !text.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        for (number, line) in text.lines().enumerate() {
            let broken = |rule: &str| format!("line {}: {rule}: {line}", number + 1);
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest
                    .split_once(' ')
                    .ok_or_else(|| broken("HELP without a text"))?;
                let family = Family {
                    help: help.to_owned(),
                    ..Family::default()
                };
                if !is_name(name) || scrape.families.insert(name.to_owned(), family).is_some() {
                    return Err(broken("a name that is not one, or a second HELP"));
                }
                current = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest
                    .split_once(' ')
                    .ok_or_else(|| broken("TYPE without a type"))?;
                let family = scrape
                    .families
                    .get_mut(name)
                    .filter(|family| family.kind.is_empty());
                let family = family.ok_or_else(|| broken("TYPE without HELP before it, or a second one"))?;
                if !["gauge", "counter", "histogram"].contains(&kind) {
                    return Err(broken("no type of ours"));
                }
                if (kind == "counter") != name.ends_with("_total") {
                    return Err(broken("_total is for counters, and every counter has it"));
                }
                kind.clone_into(&mut family.kind);
            } else {
                let (name, labels, value) = sample(line).map_err(|rule| broken(&rule))?;
                let family = current
                    .as_ref()
                    .and_then(|current| Some((current, scrape.families.get_mut(current)?)))
                    .filter(|(current, family)| belongs(&name, current, &family.kind));
                let (_, family) = family.ok_or_else(|| broken("a sample outside of its family"))?;
                if family.kind == "counter" && (value.is_nan() || value < 0.0) {
                    return Err(broken("a counter below zero"));
                }
                if !series.insert((name.clone(), labels.clone())) {
                    return Err(broken("a series twice"));
                }
                family.samples.push((name, labels, value));
            }
        }
        for (name, family) in &scrape.families {
            if family.kind == "histogram" {
                check_histogram(name, family)?;
            }
            if family.samples.is_empty() {
                return Err(format!("{name}: a family without a sample"));
            }
        }
        Ok(scrape)
    }

    /// The value of one series; its labels are given in any order, and all of them.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: Labels = labels
            .iter()
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect();
        self.samples()
            .find(|(sample, labels, _)| sample == name && *labels == wanted)
            .map(|(_, _, value)| *value)
    }

    /// All samples.
    pub fn samples(&self) -> impl Iterator<Item = &(String, Labels, f64)> {
        self.families.values().flat_map(|family| &family.samples)
    }
}

/// A histogram's samples have three suffixes, others are named like their family.
fn belongs(sample: &str, family: &str, kind: &str) -> bool {
    match kind {
        "" => false,
        "histogram" => {
            let suffix = sample.strip_prefix(family);
            suffix.is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix))
        }
        _ => sample == family,
    }
}

fn check_histogram(name: &str, family: &Family) -> Result<(), String> {
    let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let (mut counts, mut sums) = (BTreeMap::new(), BTreeSet::new());
    for (sample, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        match (sample.rsplit_once('_').map(|(_, suffix)| suffix), bound) {
            (Some("bucket"), Some(bound)) => {
                let bound = number(&bound).ok_or_else(|| format!("{name}: le={bound:?} is no number"))?;
                buckets.entry(labels).or_default().push((bound, *value));
            }
            (Some("count"), None) => {
                counts.insert(labels, *value);
            }
            (Some("sum"), None) => {
                sums.insert(labels);
            }
            _ => return Err(format!("{name}: {sample} and the label le do not go together")),
        }
    }
    for (labels, buckets) in &buckets {
        let rises = |both: &[(f64, f64)]| both[0].0 < both[1].0 && both[0].1 <= both[1].1;
        let all = buckets.last().filter(|last| last.0 == f64::INFINITY);
        if !buckets.windows(2).all(rises) || all.map(|all| &all.1) != counts.get(labels) {
            return Err(format!(
                "{name}{labels:?}: the buckets do not add up: {buckets:?}"
            ));
        }
    }
    if buckets.len() != counts.len() || counts.len() != sums.len() {
        return Err(format!(
            "{name}: buckets, _count and _sum are not of the same series"
        ));
    }
    Ok(())
}

/// `name{label="value",…} number`, without a time.
fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name) {
        return Err(format!("{name:?} is no name"));
    }
    let mut labels = Labels::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"").ok_or("a label without a value")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) || label.contains(':') || labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("{label:?} is no label name, or stands twice"));
            }
            match after.strip_prefix(',') {
                Some(after) => inside = after,
                None => {
                    rest = after.strip_prefix('}').ok_or("labels without an end")?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let value = number(value).ok_or_else(|| format!("{value:?} is no number"))?;
    Ok((name.to_owned(), labels, value))
}

/// Reads up to the closing quote, through escapes; returns the text and what follows the quote.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                other => return Err(format!("an escape that is none: {other:?}")),
            },
            plain => value.push(plain),
        }
    }
    Err("a label value without an end".to_owned())
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust reads more words than Prometheus does.
        _ if text.contains(|letter: char| letter.is_ascii_alphabetic() && letter != 'e') => None,
        _ => text.parse().ok(),
    }
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|byte| !byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

#[cfg(test)]
#[path = "exposition_test.rs"]
mod tests;
