use super::*;

const PRODUCER_OUTPUT: &str = "\
250000 records sent, 50000.0 records/sec (48.83 MB/sec), 300.0 ms avg latency, 900.0 ms max latency.
1000000 records sent, 90000.5 records/sec (87.89 MB/sec), 310.00 ms avg latency, 900.00 ms max latency, 290 ms 50th, 600 ms 95th, 700 ms 99th, 800 ms 99.9th.
750000 steady state records sent, 95000.5 records/sec (92.77 MB/sec), 300.10 ms avg latency, 520.00 ms max latency, 280 ms 50th, 400 ms 95th, 500 ms 99th, 510 ms 99.9th.

Metric Name                                                                  Value
producer-metrics:request-total:{client-id=perf-producer-client}              : 66000.000
";

#[test]
fn the_summary_after_the_warm_up_is_read() {
    let report = parse_producer(PRODUCER_OUTPUT).unwrap();
    let expected = ProducerReport {
        records_per_second: 95000.5,
        p50_ms: 280.0,
        p95_ms: 400.0,
        p99_ms: 500.0,
        p999_ms: 510.0,
        max_ms: 520.0,
        requests: Some(66000.0),
    };
    assert_eq!(report, expected);
}

#[test]
fn output_without_a_summary_is_an_error() {
    assert!(parse_producer("org.apache.kafka.common.errors.TimeoutException: no").is_err());
    assert!(parse_consumer("").is_err());
}

#[test]
fn the_consumer_s_line_of_ten_fields_is_read() {
    let text = "2026-11-21 12:00:00:000, 2026-11-21 12:00:02:000, 1000.0000, 500.0000, 1024000, 512000.0000, 500, 1500, 666.6667, 682666.6667\n";
    let report = parse_consumer(text).unwrap();
    assert_eq!(
        (report.records, report.seconds, report.requests),
        (1_024_000.0, 1.5, None)
    );
}
