//! The form with two agents: what crosses the line is small, arrives byte for byte, and is nobody else's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::clients::librdkafka::{Producer, Record, create_topic};
use thalweg_tests::mirror::Mirror;
use thalweg_tests::mirror_agent::Agent;
use thalweg_tests::relay::{Relay, Weather};
use thalweg_tests::{Broker, ports, wait, watchdog};

use crate::{thalweg, write_transactions, write_with_every_codec};

/// Kills and cuts of a short run.
const TROUBLES: u64 = 6;
const BROKERS: &str = "brokers = ['127\\.0\\.0\\.1:.*']";

/// An agent that listens, a relay before it that counts, and a service that dials.
fn over_a_line(source: &Broker, target: &Broker, topics: &str, more: &str) -> (Mirror, Agent, Relay) {
    let listen = format!("127.0.0.1:{}", ports::free());
    let relay = Relay::start(Chance::from_environment());
    relay.lead_to(&listen);
    let agent = Agent::with(&format!("[line.room]\nlisten = \"{listen}\"\n{BROKERS}\n{more}"));
    let rules = format!(
        "topics = [\"{topics}\"]\nsource.via = \"room\"\n[line.room]\ndial = \"{}\"\n{more}",
        relay.address()
    );
    (Mirror::between(source, target, &rules), agent, relay)
}

/// Writes records of `value` over one partition and returns how many bytes the source's log took.
fn write(source: &Broker, topic: &str, codec: &str, count: usize, value: impl Fn(usize) -> Vec<u8>) -> u64 {
    create_topic(source, topic, 1, &[]);
    let settings = [
        ("compression.type", codec),
        ("linger.ms", "20"),
        ("batch.size", "131072"),
    ];
    let producer = Producer::new(source, &settings);
    let records: Vec<Record> = (0..count)
        .map(|number| Record::new(format!("k{number}"), value(number)).to_partition(0))
        .collect();
    producer.send_all(topic, &records);
    stored_bytes(source, topic)
}

/// Bytes of a topic's log, as the broker counts them.
fn stored_bytes(broker: &Broker, topic: &str) -> u64 {
    let address = broker.http().expect("the source is Thalweg");
    let page = thalweg_tests::http::get(address, "/metrics").expect("metrics");
    let wanted = format!("topic=\"{topic}\"");
    let sizes = page.body.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let is_size = name.starts_with("thalweg_topic_size_bytes{") && name.contains(&wanted);
        is_size.then(|| value.parse::<f64>().ok())?
    });
    let sum = sizes.sum::<f64>() as u64;
    assert!(sum > 0, "no size of {topic} in the metrics");
    sum
}

#[test]
fn json_shrinks_to_a_quarter_and_compressed_records_do_not_grow() {
    let (source, target) = (thalweg().start(), thalweg().start());
    let json = |number: usize| {
        let scene = ["feed", "search", "profile", "story"][number % 4];
        format!(
            "{{\"event_id\":\"{:08x}-{:04x}\",\"user_id\":{},\"scene\":\"{scene}\",\"os\":\"android\",\"item\":{},\
             \"position\":{},\"duration_ms\":{},\"ts\":{}}}",
            number.wrapping_mul(0x9E37_79B9),
            number % 65_536,
            number.wrapping_mul(7_919) % 1_000_003,
            number.wrapping_mul(104_729) % 500_000,
            number % 40,
            number * 37 % 60_000,
            1_760_000_000_000_u64 + number as u64 * 13
        )
        .into_bytes()
    };
    let json_bytes = write(&source, "json", "none", 60_000, json);
    let noise = |number: usize| {
        let mut state = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..2_000).map(|_| next()).collect()
    };
    let noise_bytes = write(&source, "noise", "zstd", 12_000, noise);
    for (topic, stored, percent) in [("json", json_bytes, 25), ("noise", noise_bytes, 101)] {
        let (mut mirror, mut agent, relay) = over_a_line(&source, &target, topic, "");
        agent.start();
        mirror.start();
        mirror.wait_for(&source, &target, topic);
        let crossed = relay.passed();
        eprintln!("{topic}: {crossed} bytes crossed the line for {stored} in the log");
        assert!(
            crossed * 100 <= stored * percent,
            "{topic}: {crossed} of {stored}"
        );
        mirror.verify().shows("1 partitions compared, 0 differ, 0 behind");
    }
}

#[test]
fn a_mirror_is_equal_after_kills_of_both_ends_and_cuts_between_them() {
    let troubles = number_from_environment("THALWEG_KILLS", TROUBLES).max(1);
    watchdog::allow(Duration::from_secs(240 + 20 * troubles));
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 3, &[]);
    let (mut mirror, mut agent, relay) = over_a_line(&source, &target, "orders", "");
    agent.start();
    mirror.start();
    let mut chance = Chance::from_environment();
    for trouble in 0..troubles {
        write_with_every_codec(&source, "orders", 3, 100);
        write_transactions(&source, "orders", 3);
        std::thread::sleep(chance.millis(0, 300));
        match trouble % 3 {
            0 => {
                agent.kill_nine();
                agent.start();
            }
            1 => relay.cut(),
            _ => {
                relay.set(Weather::Stalled);
                std::thread::sleep(chance.millis(100, 1_000));
                relay.set(Weather::Clear);
                mirror.kill_nine();
                mirror.start();
            }
        }
        relay.set(Weather::Delayed {
            millis_max: chance.between(1, 40),
        });
    }
    mirror.wait_for(&source, &target, "orders");
    relay.set(Weather::Clear);
    mirror.verify().shows("3 partitions compared, 0 differ, 0 behind");
    let lines = agent.lines().expect("the agent answers");
    assert!(lines[0]["carried"]["sent_bytes"].as_u64() > Some(0), "{lines:?}");
}

/// An authority and certificates that it signed.
struct Certificates {
    directory: TempDir,
}

impl Certificates {
    fn new(names: &[&str]) -> Certificates {
        let directory = TempDir::new().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("an authority");
        std::fs::write(directory.path().join("ca.pem"), ca.pem()).expect("the directory is ours");
        let issuer = Issuer::new(params, key);
        for name in names {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![(*name).to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            let write = |ending: &str, text: String| {
                std::fs::write(directory.path().join(format!("{name}.{ending}")), text)
                    .expect("the directory is ours");
            };
            write("pem", certificate.pem());
            write("key", key.serialize_pem());
        }
        Certificates { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A `tls` table of one end, which trusts `ca`.
    fn table(&self, name: &str, ca: &Path) -> String {
        format!(
            "tls = {{ certificate = \"{}\", key = \"{}\", ca = \"{}\", server_name = \"agent.example\" }}",
            self.file(&format!("{name}.pem")).display(),
            self.file(&format!("{name}.key")).display(),
            ca.display()
        )
    }
}

#[test]
fn with_certificates_the_agent_may_dial_and_strangers_are_refused() {
    let (source, target) = (thalweg().start(), thalweg().start());
    write(&source, "orders", "none", 2_000, |number| {
        format!("secret {number}").into_bytes()
    });
    let ours = Certificates::new(&["agent.example", "service"]);
    let theirs = Certificates::new(&["agent.example"]);
    let ca = ours.file("ca.pem");
    let listen = format!("127.0.0.1:{}", ports::free());
    let relay = Relay::start(Chance::from_environment());
    relay.lead_to(&listen);
    let agent_of = |certificates: &Certificates, ca: &Path| {
        Agent::with(&format!(
            "[line.room]\ndial = \"{}\"\n{BROKERS}\n{}",
            relay.address(),
            certificates.table("agent.example", ca)
        ))
    };
    // The end that listens shows the name that the other one expects: here the service does.
    let listening = Certificates::table(&ours, "agent.example", &ca);
    let rules = format!(
        "topics = [\"orders\"]\nsource.via = \"room\"\n[line.room]\nlisten = \"{listen}\"\n{listening}"
    );
    let mut mirror = Mirror::between(&source, &target, &rules);
    mirror.start();
    {
        let mut stranger = agent_of(&theirs, &ca);
        stranger.start();
        wait::until("the stranger is refused", || {
            mirror.log_tail().contains("refused: TLS")
        });
    }
    assert!(
        mirror
            .partitions()
            .is_some_and(|partitions| partitions.is_empty())
    );
    let mut agent = agent_of(&ours, &ca);
    agent.start();
    mirror.wait_for(&source, &target, "orders");
}

#[test]
fn the_agent_connects_to_no_broker_that_its_file_does_not_name() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    let listen = format!("127.0.0.1:{}", ports::free());
    let mut agent = Agent::with(&format!(
        "[line.room]\nlisten = \"{listen}\"\nbrokers = ['kafka[0-9]:9092']"
    ));
    agent.start();
    let rules = format!("topics = [\"orders\"]\nsource.via = \"room\"\n[line.room]\ndial = \"{listen}\"");
    let mut mirror = Mirror::between(&source, &target, &rules);
    mirror.start();
    wait::until("the link says why", || {
        mirror.get("/links").is_ok_and(|answer| {
            answer.body.contains("does not allow") && answer.body.contains("line.room.brokers")
        })
    });
}
