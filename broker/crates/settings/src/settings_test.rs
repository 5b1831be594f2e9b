use std::ffi::OsString;

use proptest::prelude::*;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, text)| (OsString::from(name), OsString::from(text)))
        .collect()
}

/// Adds one source.
type Step = fn(SettingsBuilder) -> SettingsBuilder;

fn errors(builder: SettingsBuilder) -> Vec<String> {
    let errors = builder.build().expect_err("refused");
    errors.errors().iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_valid_under_both_profiles() {
    for profile in [Profile::Serve, Profile::Dev] {
        let built = Settings::builder(profile).build().expect("valid");
        assert_eq!(built, Settings::defaults(profile));
    }
}

#[test]
fn the_profiles_differ_where_they_say() {
    let serve = Settings::defaults(Profile::Serve);
    let dev = Settings::defaults(Profile::Dev);
    assert_eq!(serve.group_initial_rebalance_delay_ms().as_millis(), 3000);
    assert_eq!(dev.group_initial_rebalance_delay_ms().as_millis(), 0);
    assert!(!serve.replication_factor_any());
    assert!(dev.replication_factor_any());
    assert_eq!(serve.listeners(), ["PLAINTEXT://:9092"]);
    assert_eq!(dev.listeners(), ["PLAINTEXT://127.0.0.1:9092"]);
    let differing: Vec<&str> = BROKER_SETTINGS
        .iter()
        .filter(|row| row.dev_default.is_some())
        .map(|row| row.name)
        .collect();
    assert_eq!(
        differing,
        [
            "listeners",
            "replication.factor.any",
            "group.initial.rebalance.delay.ms"
        ]
    );
}

#[test]
fn each_source_beats_the_ones_before_it() {
    let steps: [(&str, Step, u32, &str); 5] = [
        ("nothing", |b| b, 1, "default"),
        (
            "file",
            |b| b.file_bytes("f.properties", b"#\nnum.partitions = 2\n"),
            2,
            "f.properties:2",
        ),
        (
            "Kafka's variable",
            |b| b.environment(variables(&[("KAFKA_NUM_PARTITIONS", "3")])),
            3,
            "environment KAFKA_NUM_PARTITIONS",
        ),
        (
            "our variable",
            |b| {
                b.environment(variables(&[
                    ("THALWEG_NUM_PARTITIONS", "4"),
                    ("KAFKA_NUM_PARTITIONS", "3"),
                ]))
            },
            4,
            "environment THALWEG_NUM_PARTITIONS",
        ),
        ("--set", |b| b.assignment("num.partitions=5"), 5, "--set"),
    ];
    // Weakest first and strongest first give the same.
    for order in [(0..5).collect::<Vec<_>>(), (0..5).rev().collect()] {
        let mut strongest = 0;
        let mut builder = Settings::builder(Profile::Serve);
        for step in order {
            builder = steps[step].1(builder);
            strongest = strongest.max(step);
            let probe = SettingsBuilder {
                settings: builder.settings.clone(),
                errors: Vec::new(),
            };
            let settings = probe.build().expect("valid");
            let (what, _, expected, origin) = steps[strongest];
            assert_eq!(settings.num_partitions(), expected, "{what}");
            let effective = settings.effective("num.partitions").expect("a key");
            assert_eq!(effective.origin.to_string(), origin, "{what}");
        }
    }
}

#[test]
fn the_last_of_one_source_wins() {
    let settings = Settings::builder(Profile::Serve)
        .assignment("num.partitions=5")
        .assignment("num.partitions = 6")
        .file_bytes("f", b"broker.rack=a\nbroker.rack=b")
        .build()
        .expect("valid");
    assert_eq!(settings.num_partitions(), 6);
    assert_eq!(settings.broker_rack(), Some("b"));
    assert_eq!(settings.notices(), ["f:2: broker.rack is set again, after f:1"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let builder = Settings::builder(Profile::Serve)
        .file_bytes(
            "s.properties",
            b"num.partitons=3\nnum.partitions=0\nzookeeper.connect=x\n",
        )
        .environment(variables(&[("THALWEG_FETCH_MAX_BYTE", "1")]))
        .assignment("nonsense")
        .assignment("auto.create.topics.enable=yes");
    assert_eq!(
        errors(builder),
        [
            "s.properties:1: unknown key num.partitons; did you mean num.partitions?",
            "s.properties:2: num.partitions: the value `0` must be 1 to 2147483647",
            "s.properties:3: zookeeper.connect is gone since Apache Kafka 4.0: there is no ZooKeeper any more; remove it",
            "environment THALWEG_FETCH_MAX_BYTE: unknown key fetch.max.byte; did you mean fetch.max.bytes?",
            "--set nonsense: must be KEY=VALUE, as in --set num.partitions=3",
            "--set: auto.create.topics.enable: the value `yes` must be true or false",
        ]
    );
}

#[test]
fn a_topic_key_in_the_brokers_file_names_the_brokers_key() {
    let file = b"retention.ms=1\nremote.storage.enable=true\nretenton.ms=2\n";
    assert_eq!(
        errors(Settings::builder(Profile::Serve).file_bytes("f", file)),
        [
            "f:1: retention.ms is a key of topics; log.retention.ms is what the broker gives to topics that set none",
            "f:2: remote.storage.enable is a key of topics, and the broker has no default for it; set it on the topic",
            "f:3: unknown key retenton.ms; did you mean log.retention.ms?",
        ]
    );
}

#[test]
fn errors_are_bounded_in_number_and_length() {
    let many = "no.such.key=1\n".repeat(1000);
    let found = errors(Settings::builder(Profile::Serve).file_bytes("f", many.as_bytes()));
    assert_eq!(found.len(), SettingErrors::KEPT_MAX);
    let long = format!("{}=1\nnum.partitions={}", "k".repeat(5000), "v".repeat(5000));
    for text in errors(Settings::builder(Profile::Serve).file_bytes("f", long.as_bytes())) {
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn a_key_that_is_unsafe_to_ignore_is_refused() {
    let found = errors(Settings::builder(Profile::Serve).set("authorizer.class.name", "x.Authorizer"));
    assert_eq!(
        found,
        [
            "--set: authorizer.class.name=x.Authorizer is not available in this version, and ignoring it would be \
          unsafe; remove it"
        ]
    );
    // Its default is no wish for anything.
    assert!(
        Settings::builder(Profile::Serve)
            .set("remote.log.storage.system.enable", "false")
            .build()
            .is_ok()
    );
}

#[test]
fn a_wrong_secret_is_not_repeated() {
    let secret = format!("hunter2{}", "x".repeat(70_000));
    let found = errors(Settings::builder(Profile::Serve).set("ssl.key.password", &secret));
    assert!(!found[0].contains("hunter2"), "{}", found[0]);
    let settings = Settings::builder(Profile::Serve)
        .set("ssl.key.password", "hunter2")
        .build()
        .expect("valid");
    assert_eq!(
        settings.effective("ssl.key.password").expect("a key").shown(),
        "(hidden)"
    );
}

#[test]
fn the_file_kafka_ships_is_taken() {
    let file = b"process.roles=broker,controller\nnode.id=1\n\
        controller.quorum.bootstrap.servers=localhost:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
        advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
        num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
        socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\nlog.dirs=/var/lib/kafka\n\
        num.partitions=1\nnum.recovery.threads.per.data.dir=2\noffsets.topic.replication.factor=1\n\
        share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
        transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
        log.retention.hours=168\nlog.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
    let settings = Settings::builder(Profile::Serve)
        .file_bytes("server.properties", file)
        .build()
        .expect("taken");
    assert_eq!(settings.node_id(), thalweg_types::BrokerId(1));
    assert_eq!(settings.data_directory(), Path::new("/var/lib/kafka"));
    let listeners = settings.listen_addresses().expect("checked");
    assert_eq!(listeners.len(), 1);
    assert_eq!(settings.notices().len(), 1);
    let advertised = settings.advertised_addresses().expect("checked");
    assert_eq!(
        (advertised[0].host.as_str(), advertised[0].port),
        ("localhost", 9092)
    );
}

#[test]
fn node_id_and_broker_id_show_the_same() {
    for key in ["node.id", "broker.id"] {
        let settings = Settings::builder(Profile::Serve)
            .set(key, "7")
            .build()
            .expect("valid");
        assert_eq!(
            (settings.node_id().get(), settings.broker_id().get()),
            (7, 7),
            "{key}"
        );
    }
    let found = errors(
        Settings::builder(Profile::Serve)
            .set("node.id", "1")
            .set("broker.id", "2"),
    );
    assert_eq!(found, ["node.id (1) and broker.id (2) differ; set node.id only"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("no.properties");
    let found = errors(Settings::builder(Profile::Serve).file(&path));
    assert!(found[0].starts_with(&format!("{}: cannot read the settings file: ", path.display())));
    std::fs::write(&path, b"a=\\u00").expect("written");
    let found = errors(Settings::builder(Profile::Serve).file(&path));
    assert_eq!(
        found,
        [format!(
            "{}:1: a \\u escape needs four hexadecimal digits",
            path.display()
        )]
    );
    std::fs::write(&path, vec![b'#'; 4 * 1024 * 1024 + 1]).expect("written");
    let found = errors(Settings::builder(Profile::Serve).file(&path));
    assert!(found[0].contains("larger than 4194304 bytes"), "{}", found[0]);
}

#[test]
fn load_reads_all_sources() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("server.properties");
    std::fs::write(&path, b"num.partitions=2\nlog.retention.ms=-1\n").expect("written");
    let environment = variables(&[("KAFKA_LOG_RETENTION_MS", "5000"), ("PATH", "/bin")]);
    let sets = ["num.partitions=9".to_owned()];
    let settings = Settings::load(Profile::Serve, Some(&path), environment, &sets).expect("valid");
    assert_eq!(settings.num_partitions(), 9);
    assert_eq!(settings.log_retention_ms(), Some(5000));
}

#[cfg(unix)]
#[test]
fn a_variable_of_ours_must_be_utf8_and_others_need_not() {
    use std::os::unix::ffi::OsStringExt;
    let wrong = || OsString::from_vec(vec![0xff]);
    let builder = || Settings::builder(Profile::Serve);
    assert!(
        builder()
            .environment([("OTHER".into(), wrong()), (wrong(), "x".into())])
            .build()
            .is_ok()
    );
    let found = errors(builder().environment([("THALWEG_BROKER_RACK".into(), wrong())]));
    assert_eq!(found, ["environment THALWEG_BROKER_RACK: the value is not UTF-8"]);
}

#[test]
fn iter_walks_every_key_by_name() {
    let settings = Settings::defaults(Profile::Serve);
    let names: Vec<&str> = settings.iter().map(|effective| effective.setting.name).collect();
    assert_eq!(names.len(), BROKER_SETTINGS.len());
    assert!(names.is_sorted());
}

proptest! {
    #[test]
    fn any_file_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Settings::builder(Profile::Serve).file_bytes("f", &bytes).build();
    }

    #[test]
    fn any_value_of_any_key_is_taken_or_refused(row in 0..BROKER_SETTINGS.len(), text in "\\PC{0,40}|[-0-9]{1,25}") {
        let name = BROKER_SETTINGS[row].name;
        if let Ok(settings) = Settings::builder(Profile::Dev).set(name, &text).build() {
            crate::broker_keys::read_all(&settings);
            let _ = crate::describe_topic(&std::collections::BTreeMap::new(), &settings);
            let _ = crate::describe_broker(&settings);
        }
    }
}
