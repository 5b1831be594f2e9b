use super::*;

const GOOD: &str = "\
# HELP a_total Counts.
# TYPE a_total counter
a_total{topic=\"x\"} 3
a_total{topic=\"y\\\"\\n\\\\z\"} 1.5e3
# HELP b B, with blanks.
# TYPE b gauge
b -1
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{le=\"0.5\"} 1
c_seconds_bucket{le=\"+Inf\"} 3
c_seconds_sum 7.5
c_seconds_count 3
";

#[test]
fn a_good_scrape_is_read() {
    let scrape = Scrape::parse(GOOD).expect("it is good");
    assert_eq!(scrape.families.len(), 3);
    assert_eq!(scrape.families["b"].help, "B, with blanks.");
    assert_eq!(scrape.families["c_seconds"].kind, "histogram");
    assert_eq!(scrape.value("a_total", &[("topic", "y\"\n\\z")]), Some(1500.0));
    assert_eq!(scrape.value("c_seconds_count", &[]), Some(3.0));
    assert_eq!(scrape.value("a_total", &[]), None, "all labels are asked for");
    assert_eq!(scrape.samples().count(), 7);
}

/// What stands in the good text, what it becomes, and a word of the complaint.
const PLANTED: [(&str, &str, &str); 17] = [
    ("# TYPE b gauge\n", "", "outside of its family"),
    ("# HELP b B, with blanks.\n", "", "without HELP"),
    (
        "# HELP b B, with blanks.\n",
        "# HELP a_total Again.\n",
        "second HELP",
    ),
    (
        "# TYPE b gauge\n",
        "# TYPE b gauge\n# TYPE b gauge\n",
        "or a second one",
    ),
    ("# TYPE b gauge\n", "# TYPE b untyped\n", "no type"),
    ("# TYPE b gauge\n", "# TYPE b counter\n", "_total"),
    ("# TYPE a_total counter\n", "# TYPE a_total gauge\n", "_total"),
    ("b -1\n", "", "without a sample"),
    ("b -1\n", "b -1\nb 2\n", "twice"),
    (
        "b -1\n",
        "b -1\na_total{topic=\"z\"} 1\n",
        "outside of its family",
    ),
    ("b -1\n", "b one\n", "no number"),
    ("b -1\n", "b{x=\"1\",x=\"2\"} 1\n", "stands twice"),
    ("b -1\n", "b{x=\"\\t\"} 1\n", "escape"),
    ("b -1\n", "b{x=\"1\" 1\n", "without an end"),
    ("a_total{topic=\"x\"} 3", "a_total{topic=\"x\"} -3", "below zero"),
    ("le=\"+Inf\"} 3", "le=\"+Inf\"} 4", "add up"),
    (
        "c_seconds_bucket{le=\"0.5\"} 1",
        "c_seconds_bucket{le=\"0.5\"} 5",
        "add up",
    ),
];

#[test]
fn every_planted_mistake_is_found() {
    for (good, bad, complaint) in PLANTED {
        assert_eq!(GOOD.matches(good).count(), 1, "{good:?}");
        let text = GOOD.replace(good, bad);
        let found = Scrape::parse(&text).expect_err(bad);
        assert!(found.contains(complaint), "{bad:?} is said to be: {found}");
    }
    assert!(Scrape::parse(GOOD.trim_end()).is_err(), "the last line ends");
}
