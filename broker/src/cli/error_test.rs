use super::*;
use crate::cli::output::OutputFormat;
use thalweg_client::Resource;

fn failure(name: &str, message: Option<&str>) -> ClientError {
    ClientError::Broker(BrokerError {
        api: "DeleteTopics",
        code: ErrorCode::UnknownTopicOrPartition,
        message: message.map(str::to_owned),
        resource: Resource::Topic(name.to_owned()),
    })
}

fn output(format: OutputFormat) -> OutputArgs {
    OutputArgs { output: format }
}

#[test]
fn every_failure_has_a_line_and_many_are_counted() {
    let failures = |count: usize| {
        (0..count)
            .map(|n| failure(&n.to_string(), None))
            .collect::<Vec<_>>()
    };
    let text = |count| match listed(failures(count), &output(OutputFormat::Table)) {
        Err(error) => error.to_string(),
        Ok(()) => String::new(),
    };
    assert_eq!(text(0), "");
    assert!(text(1).starts_with("topic '0': DeleteTopics answered UNKNOWN_TOPIC_OR_PARTITION: "));
    assert_eq!(text(10).lines().count(), 10);
    assert!(
        text(10)
            .lines()
            .skip(1)
            .all(|line| line.starts_with("error: topic '"))
    );
    assert_eq!(text(12).lines().last(), Some("error: 2 more failed"));
}

#[test]
fn a_document_that_names_the_failures_needs_no_second_list() {
    let failed = listed(vec![failure("t", None)], &output(OutputFormat::Json));
    assert!(matches!(failed, Err(CliError::Reported)));
    assert!(listed(Vec::new(), &output(OutputFormat::Json)).is_ok());
}

#[test]
fn a_reason_is_the_brokers_words_or_what_the_code_means() {
    assert_eq!(
        reason(&failure("t", Some("it was deleted"))),
        "UNKNOWN_TOPIC_OR_PARTITION: it was deleted"
    );
    for silent in [None, Some("")] {
        assert_eq!(
            reason(&failure("t", silent)),
            "UNKNOWN_TOPIC_OR_PARTITION: This broker has no such topic or partition."
        );
    }
}
