//! What is said when there is no broker, the wrong one, or none any more.

use std::time::Duration;

use thalweg_tests::process::{Output, Server, run};
use thalweg_tests::{Broker, BrokerConfig, Product, ports, wait};

use crate::cli::{Cli, code, command, rows, says, thalweg};

/// Commands of every kind; all of them need a broker.
const COMMANDS: [&[&str]; 10] = [
    &["topic", "list"],
    &["topic", "create", "t"],
    &["topic", "describe", "t"],
    &["topic", "delete", "t", "--yes"],
    &["topic", "produce", "t"],
    &["topic", "consume", "t"],
    &["group", "list"],
    &["group", "describe", "g"],
    &["cluster", "info"],
    &["cluster", "health"],
];

#[test]
fn without_a_broker_the_address_and_the_way_out_are_named() {
    let address = format!("127.0.0.1:{}", ports::free());
    for arguments in COMMANDS {
        let refused = code(thalweg(&[arguments, &["-b", &address]].concat()), 1);
        says(
            &refused,
            &[
                &address,
                "Connection refused",
                "try:",
                "--bootstrap-server",
                "`thalweg dev`",
            ],
        );
        assert_eq!(refused.stdout_text(), "");
    }
}

#[test]
fn a_wrong_address_is_refused_before_anything_is_tried() {
    for (address, part) in [
        ("127.0.0.1:port", "127.0.0.1:port"),
        ("127.0.0.1:99999", "127.0.0.1:99999"),
        ("", "address"),
    ] {
        let refused = code(thalweg(&["topic", "list", "-b", address]), 2);
        says(&refused, &[part]);
    }
    let unknown = code(thalweg(&["topic", "list", "-b", "no-such-host.invalid:9092"]), 1);
    says(&unknown, &["no-such-host.invalid:9092", "try:"]);
    let never = code(thalweg(&["topic", "list", "--timeout", "0s"]), 2);
    says(&never, &["--timeout", "write at least 1ms"]);
    let late = code(thalweg(&["topic", "list", "--timeout", "soon"]), 2);
    says(
        &late,
        &["'soon' is not a duration; write a number with ms, s, m, h or d"],
    );
}

#[test]
fn the_port_of_the_web_pages_is_told_as_such() {
    let broker = BrokerConfig::new(Product::Thalweg).start();
    let http = broker.http().expect("Thalweg has one").to_owned();
    let refused = code(thalweg(&["topic", "list", "-b", &http]), 1);
    says(&refused, &[&http, "a web server's answer, not a Kafka broker's"]);
}

#[test]
fn one_of_several_addresses_is_enough() {
    let broker = Broker::start();
    let addresses = format!("127.0.0.1:{},{}", ports::free(), broker.bootstrap());
    let listed = thalweg(&["topic", "list", "--brokers", &addresses]).ok();
    assert_eq!(rows(&listed.stdout_text()), ["NAME PARTITIONS REPLICAS"]);
}

#[test]
fn a_reader_outlives_a_restart_and_gives_up_on_a_dead_broker() {
    let mut broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t"]);
    cli.feed(&["topic", "produce", "t", "-q"], "before\n").ok();
    let output = Output {
        stdout: broker.directory().join("reader.out"),
        stderr: broker.directory().join("reader.err"),
    };
    let printed = || std::fs::read_to_string(&output.stdout).unwrap_or_default();
    let reader = cli.command(&["topic", "consume", "t", "-n", "2", "-f", "%v\n"]);
    let mut reader = Server::start(reader, &output);
    wait::until("the reader has read what is there", || printed() == "before\n");
    broker.kill_nine();
    broker.start_again();
    cli.feed(&["topic", "produce", "t", "-q"], "after\n").ok();
    let ended = reader.wait_for_end(wait::PATIENCE);
    assert_eq!(
        ended.and_then(|status| status.code()),
        Some(0),
        "{}",
        output.tail()
    );
    assert_eq!(printed(), "before\nafter\n");

    broker.kill_nine();
    let gone = code(
        cli.feed(&["topic", "produce", "t", "--timeout", "1s"], "lost\n"),
        1,
    );
    says(&gone, &[broker.bootstrap(), "try:"]);
}

#[test]
fn what_is_no_command_shows_the_way() {
    for (arguments, part) in [
        (&["topics"][..], "unrecognized subcommand 'topics'"),
        (&["topic", "lst"], "unrecognized subcommand 'lst'"),
        (
            &["topic", "list", "-o", "yaml"],
            "possible values: table, wide, json",
        ),
        (&["topic"], "Commands:"),
        (&[], "Commands:"),
    ] {
        let refused = code(run(command(arguments), b"", Duration::from_secs(30)), 2);
        says(&refused, &[part]);
    }
    let help = thalweg(&["topic", "consume", "--help"]).ok();
    for part in ["%k key", "start, end", "@T1:T2", "--bootstrap-server"] {
        assert!(help.stdout_text().contains(part), "{part}");
    }
}

#[test]
fn the_cluster_is_shown_and_judged() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "3"]);
    let (_, port) = broker.bootstrap().split_once(':').expect("ip:port");
    let table = cli.out(&["cluster", "info"]);
    let lines = rows(&table);
    assert!(lines[0].starts_with("CLUSTER "));
    assert_eq!(lines[1..4], ["TOPICS 1", "PARTITIONS 3", ""]);
    assert_eq!(lines[4], "ID HOST PORT LEADS LOG-SIZE DISK-FREE");
    assert!(lines[5].contains(&format!("* 127.0.0.1 {port} 3 ")), "{table}");
    let json = cli.json(&["cluster", "info"]);
    assert_eq!(json["partitions"], 3);
    assert_eq!(json["brokers"][0]["port"].to_string(), port);
    assert_eq!(json["controller"], json["brokers"][0]["id"]);

    let health = rows(&cli.out(&["cluster", "health"]));
    assert_eq!(health[0], "HEALTHY true");
    assert_eq!(
        health[3..],
        ["UNREACHABLE none", "LEADERLESS 0", "UNDER-REPLICATED 0"]
    );
    let json = cli.json(&["cluster", "health"]);
    assert_eq!(json["healthy"], true);
    assert_eq!(json["reasons"], serde_json::json!([]));
    let waited = cli
        .run(&["cluster", "health", "--watch", "--exit-when-healthy"])
        .ok();
    waited.shows("HEALTHY           true");
}
