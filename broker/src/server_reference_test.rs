//! The reference of metrics, `broker/METRICS.md`, is what the parts of a broker register.

use std::fmt::Write as _;
use std::path::Path;

use thalweg_telemetry::Described;

use super::*;
use crate::test_broker::TestBroker;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");
/// Where the tables begin; what stands above is written by hand.
const MARK: &str = "<!-- From here on written by the test: THALWEG_WRITE_REFERENCE=1 cargo test -p thalweg-broker reference -->\n";
/// Set to write the file instead of comparing it.
const WRITE_VARIABLE: &str = "THALWEG_WRITE_REFERENCE";

/// The dialects: heading, and whose names belong there. The first that fits takes a name.
const DIALECTS: [(&str, &[&str]); 4] = [
    ("Names of our own", &["thalweg_"]),
    ("The process, as Prometheus' own clients name it", &["process_"]),
    (
        "lag-exporter's names",
        &["kafka_consumergroup_group_", "kafka_partition_"],
    ),
    ("kafka_exporter's names", &["kafka_"]),
];

/// Everything that a broker registers.
fn registered() -> Vec<Described> {
    let broker = TestBroker::start(&[]);
    broker.admin_state();
    let budget = MemoryBudget::new(BudgetSettings::from_settings(&broker.settings.current()));
    NetworkMetrics::new(&broker.metrics, &budget).unwrap();
    RecordChecks::new(&broker.metrics).unwrap();
    broker.metrics.reference()
}

fn tables(all: &[Described]) -> String {
    let mut text = String::new();
    let mut left: Vec<&Described> = all.iter().collect();
    for (heading, prefixes) in DIALECTS {
        let (here, others) = left
            .into_iter()
            .partition(|metric: &&Described| prefixes.iter().any(|prefix| metric.name.starts_with(prefix)));
        left = others;
        let here: Vec<&Described> = here;
        let _ = write!(
            text,
            "\n## {heading}\n\n| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n"
        );
        for metric in here {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, unit) = (&metric.name, metric.kind, metric.unit());
            let (labels, help) = (labels.join(", "), metric.help.replace('|', "\\|"));
            let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {help} |");
        }
    }
    assert!(left.is_empty(), "names of no dialect: {left:?}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_of_metrics_is_what_is_registered() {
    let tables = tables(&registered());
    let file = std::fs::read_to_string(FILE).unwrap();
    let (by_hand, written) = file.split_once(MARK).expect("METRICS.md has the mark");
    if std::env::var_os(WRITE_VARIABLE).is_some() {
        std::fs::write(FILE, format!("{by_hand}{MARK}{tables}")).unwrap();
        return;
    }
    for (line, (found, expected)) in written.lines().zip(tables.lines()).enumerate() {
        assert_eq!(
            found, expected,
            "line {line} below the mark of METRICS.md; {WRITE_VARIABLE}=1 writes it anew"
        );
    }
    assert_eq!(
        written.len(),
        tables.len(),
        "METRICS.md is cut or has more; {WRITE_VARIABLE}=1 writes it anew"
    );
}

#[test]
fn every_registered_metric_has_one_line_with_all_its_columns() {
    let all = [
        Described::new(
            "thalweg_a_bytes_total",
            thalweg_telemetry::MetricKind::Counter,
            &["x", "y"],
            "A|B.",
        ),
        Described::new(
            "kafka_partition_z",
            thalweg_telemetry::MetricKind::Gauge,
            &[],
            "Z.",
        ),
    ];
    let text = tables(&all);
    assert!(
        text.contains("| `thalweg_a_bytes_total` | counter | bytes | `x`, `y` | A\\|B. |\n"),
        "{text}"
    );
    assert!(Path::new(FILE).is_file());
}
