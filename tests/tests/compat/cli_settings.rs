//! The sources of settings, what stops a start, and what `thalweg dev` says.

use std::time::Duration;

use thalweg_tests::process::{Finished, Output, Server, run};
use thalweg_tests::wait::answer;
use thalweg_tests::{Broker, BrokerConfig, Product, http, places, ports, wait};

use crate::cli::{Cli, code, command, says, thalweg};

/// A directory that goes with the test.
pub fn directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(&format!("{}-", places::test_name()))
        .tempdir_in(places::runs())
        .expect("a directory")
}

/// `thalweg dev` in `directory` with settings; it must end by itself.
fn dev(directory: &std::path::Path, settings: &[&str]) -> Finished {
    let mut command = command(&["dev"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.current_dir(directory);
    run(command, b"", Duration::from_secs(60))
}

#[test]
fn set_wins_over_the_environment_and_the_environment_over_the_file() {
    let directory = directory();
    let bootstrap = format!("127.0.0.1:{}", ports::free());
    let web = format!("127.0.0.1:{}", ports::free());
    let file = directory.path().join("server.properties");
    let text = format!(
        "listeners=PLAINTEXT://{bootstrap}\nhttp.listener={web}\nlog.dirs=data\nwal.file.bytes=8388608\n\
         wal.max.bytes=67108864\nnum.partitions=2\nmessage.max.bytes=2000\nlog.segment.bytes=2097152\n"
    );
    std::fs::write(&file, text).expect("a file");
    let mut serve = command(&["serve"]);
    serve
        .arg(&file)
        .args([
            "--set",
            "num.partitions=4",
            "--set",
            "num.partitions=6",
            "--set",
            "log.retention.ms=777000",
        ])
        .env("THALWEG_NUM_PARTITIONS", "3")
        .env("THALWEG_MESSAGE_MAX_BYTES", "3000")
        .current_dir(directory.path());
    let mut server = Server::start(serve, &Output::in_directory(directory.path()));
    wait::until("the broker serves", || {
        assert_eq!(
            server.exit_status(),
            None,
            "{}",
            Output::in_directory(directory.path()).tail()
        );
        http::get(&web, "/readyz").is_ok_and(|answer| answer.status == 200)
    });
    let run = |arguments: &[&str]| thalweg(&[arguments, &["-b", &bootstrap]].concat()).ok();
    run(&["topic", "create", "t"]);
    let told = run(&["topic", "describe", "t", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told[0]["partition_count"], 6);
    let value = |key: &str| {
        let configs = told[0]["configs"].as_array().expect("a list");
        let found = configs
            .iter()
            .find(|config| config["key"] == key)
            .expect("the key");
        found["value"].as_str().expect("a value").to_owned()
    };
    assert_eq!(value("max.message.bytes"), "3000");
    assert_eq!(value("segment.bytes"), "2097152");
    assert_eq!(value("retention.ms"), "777000");
    assert!(server.terminate(thalweg_tests::broker::STOP).success());
}

#[test]
fn every_mistake_in_the_settings_is_named_with_its_place() {
    let directory = directory();
    let file = directory.path().join("server.properties");
    std::fs::write(&file, "num.partitons=3\n\nnum.partitions=many\nretention.ms=5\n").expect("a file");
    let name = file.display().to_string();
    let refused = code(
        thalweg(&["serve", &name, "--set", "log.dir", "--set", "colour=red"]),
        2,
    );
    says(
        &refused,
        &[
            &format!("{name}:1: unknown key num.partitons; did you mean num.partitions?"),
            &format!("{name}:3: num.partitions: the value `many`"),
            &format!("{name}:4: retention.ms is a key of topics; log.retention.ms is what the broker gives"),
            "--set log.dir: must be KEY=VALUE",
            "--set: unknown key colour; `thalweg config explain` lists the keys",
        ],
    );
    assert_eq!(refused.stdout_text(), "");
    let missing = code(thalweg(&["serve", "/nonexistent/file"]), 2);
    says(&missing, &["/nonexistent/file: cannot read the settings file"]);
    code(thalweg(&["serve"]), 2);
    let mut environment = command(&["dev"]);
    environment
        .env("THALWEG_NUM_PARTITONS", "3")
        .current_dir(directory.path());
    let refused = code(run(environment, b"", Duration::from_secs(60)), 2);
    says(
        &refused,
        &[
            "environment THALWEG_NUM_PARTITONS",
            "did you mean num.partitions?",
        ],
    );
    let none = std::fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(none, 1, "a refused start makes no data directory");
}

#[test]
fn more_than_one_data_directory_is_refused() {
    let directory = directory();
    let refused = code(dev(directory.path(), &["log.dirs=a,b"]), 2);
    says(
        &refused,
        &["log.dirs has 2 entries (a,b)", "one directory", "name one"],
    );
    assert!(!directory.path().join("a").exists());
}

#[test]
fn a_taken_port_names_itself_and_the_flag() {
    let broker = BrokerConfig::new(Product::Thalweg).start();
    let directory = directory();
    let free = || format!("127.0.0.1:{}", ports::free());
    let listeners = |address: &str| format!("listeners=PLAINTEXT://{address}");
    let web = |address: &str| format!("http.listener={address}");
    let taken = dev(directory.path(), &[&listeners(broker.bootstrap()), &web(&free())]);
    says(
        &code(taken, 1),
        &[
            broker.bootstrap(),
            "the port is taken",
            "--set listeners=PLAINTEXT://",
        ],
    );
    let taken_web = broker.http().expect("Thalweg has one");
    let taken = dev(directory.path(), &[&listeners(&free()), &web(taken_web)]);
    says(&code(taken, 1), &[taken_web, "in use", "--set http.listener="]);
    let data = format!("log.dirs={}", broker.log_directory().display());
    let in_use = dev(directory.path(), &[&listeners(&free()), &web(&free()), &data]);
    says(&code(in_use, 1), &["is in use by another process", "log.dirs"]);
    // The broker that was there first has not noticed.
    Cli::of(&broker).out(&["topic", "create", "still-served"]);
}

#[test]
fn dev_says_what_it_is_in_twelve_lines_and_its_commands_work() {
    let directory = directory();
    let bootstrap = format!("127.0.0.1:{}", ports::free());
    let mut command = command(&["dev"]);
    command
        .args(["--set", &format!("listeners=PLAINTEXT://{bootstrap}")])
        .args(["--set", &format!("http.listener=127.0.0.1:{}", ports::free())])
        .args([
            "--set",
            "wal.file.bytes=8388608",
            "--set",
            "wal.max.bytes=67108864",
        ])
        .current_dir(directory.path());
    let output = Output::in_directory(directory.path());
    let mut server = Server::start(command, &output);
    let printed = || std::fs::read_to_string(&output.stdout).unwrap_or_default();
    wait::until("dev has told how to stop it", || printed().contains("stop "));
    let text = printed();
    assert!(text.lines().count() <= 12, "{text}");
    let data = directory.path().join("thalweg-data").display().to_string();
    for part in [
        "Thalweg ",
        &data,
        &bootstrap,
        "no authentication",
        "/metrics",
        "Ctrl-C",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert_eq!(std::fs::read_to_string(&output.stderr).expect("its errors"), "");
    // What it proposes to type, typed into a shell that finds the program.
    let program = thalweg_tests::broker::binary();
    let commands: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("thalweg topic"))
        .map(|line| line.trim_start_matches("try").trim())
        .collect();
    assert_eq!(commands.len(), 3, "{text}");
    let mut shell = std::process::Command::new("sh");
    let script = commands.join("\n").replace("thalweg topic", "\"$PROGRAM\" topic");
    shell.args(["-e", "-c", &script]).env("PROGRAM", program);
    let typed = run(shell, b"", Duration::from_secs(60)).ok();
    assert!(
        typed.stdout_text().contains(r#""value":"hello""#),
        "{}",
        typed.describe()
    );
    server.signal(rustix::process::Signal::INT);
    let ended = server.wait_for_end(thalweg_tests::broker::STOP);
    assert_eq!(
        ended.and_then(|status| status.code()),
        Some(0),
        "{}",
        output.tail()
    );
}

/// The strongest source is the running cluster's own: it also outlives a restart.
#[test]
fn a_dynamic_setting_wins_over_all_others() {
    use rdkafka::admin::{AlterConfig, ResourceSpecifier};
    let mut broker = Broker::start();
    broker.terminate();
    broker.set("message.max.bytes", 5_000);
    broker.start_again();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t"]);
    let limit = || {
        let told = cli.json(&["topic", "describe", "t", "-c"]);
        let configs = told[0]["configs"].as_array().expect("a list").clone();
        let found = configs
            .into_iter()
            .find(|config| config["key"] == "max.message.bytes");
        let found = found.expect("the key");
        (found["value"].clone(), found["source"].clone())
    };
    assert_eq!(limit(), ("5000".into(), "STATIC_BROKER_CONFIG".into()));
    let id = cli.json(&["cluster", "info"])["brokers"][0]["id"]
        .as_i64()
        .expect("an id");
    let id = i32::try_from(id).expect("a broker's id");
    let change = AlterConfig::new(ResourceSpecifier::Broker(id)).set("message.max.bytes", "6000");
    let admin = thalweg_tests::clients::librdkafka::admin(&broker);
    let options = thalweg_tests::clients::librdkafka::admin_options();
    let altered = answer(admin.alter_configs([&change], &options)).expect("an answer");
    assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    let dynamic = || limit() == ("6000".into(), "DYNAMIC_BROKER_CONFIG".into());
    wait::until("the change is in force", dynamic);
    broker.terminate();
    broker.start_again();
    assert!(dynamic(), "{:?}", limit());
}
