use super::*;

fn commands() -> Vec<Command> {
    let operations = [
        Operation::Inspect,
        Operation::Claim { lease_ms: 30_000 },
        Operation::Append {
            source_end: Offset::UNKNOWN,
        },
        Operation::AdvanceEnd { to: Offset(7) },
        Operation::SetLogStart { to: Offset(8) },
        Operation::Truncate { to: Offset(9) },
        Operation::SetSourceEnd {
            source_end: Offset(i64::MAX),
        },
        Operation::Promote {
            epoch_above: LeaderEpoch(5),
        },
        Operation::Release,
        Operation::Seal {
            epoch_below: LeaderEpoch(i32::MAX),
        },
        Operation::Unseal,
    ];
    let fence = Fence {
        link: LinkId([7; 16]),
        session: 3,
        expected_end: Offset(100),
    };
    operations
        .into_iter()
        .map(|operation| Command { fence, operation })
        .collect()
}

const REPORT: Report = Report {
    link: LinkId([1; 16]),
    session: 2,
    log_start: Offset(3),
    log_end: Offset(4),
    high_watermark: Offset(4),
    source_end: Offset(5),
    leader_epoch: LeaderEpoch(6),
    last_epoch: LeaderEpoch::UNKNOWN,
    lease_left_ms: 7,
    ownership: Ownership::Link,
};

#[test]
fn what_is_written_is_read() {
    for command in commands() {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
    assert_eq!(Report::decode(&REPORT.encode()), Ok(REPORT));
}

#[test]
fn bytes_that_are_no_message_are_named_and_do_not_panic() {
    let command = commands()[3].encode();
    for cut in 0..command.len() {
        assert!(Command::decode(&command[..cut]).is_err(), "{cut}");
        assert!(Report::decode(&command[..cut]).is_err(), "{cut}");
    }
    let mut newer = command.to_vec();
    newer[0] = 2;
    assert_eq!(Command::decode(&newer), Err(MirrorError::Version(2)));
    let mut unknown = command.to_vec();
    unknown[1] = 99;
    let error = Command::decode(&unknown).expect_err("no such command");
    assert_eq!(
        error.to_string(),
        "command 99 of the mirror extension is not known"
    );
    let mut longer = command.to_vec();
    longer.push(0);
    assert!(matches!(
        Command::decode(&longer),
        Err(MirrorError::Length { len: 43, .. })
    ));
}
