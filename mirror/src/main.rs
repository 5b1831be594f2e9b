//! `thalweg-mirror`: arguments → file → what they ask for.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use serde_json::Value;
use thalweg_mirror::client_http::{escaped, request};
use thalweg_mirror::config::Config;
use thalweg_mirror::failback::{Discard, Wish};
use thalweg_mirror::{agent, drill, failback, failover, line, plan, service, verify};
use thalweg_telemetry::{Shutdown, ShutdownTrigger, init_logging, shutdown_channel};

/// Mirrors topics from one Kafka-compatible cluster to another, offset for offset.
#[derive(Parser)]
#[command(name = "thalweg-mirror", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the links of a file until SIGTERM or Ctrl-C
    Run {
        /// Links, in TOML; mirror/README.md explains the keys
        file: PathBuf,
    },
    /// Connect to the brokers of this room for a service in another one, until SIGTERM or Ctrl-C
    Agent {
        /// Lines, in TOML; mirror/README.md explains the keys
        file: PathBuf,
    },
    /// Say what `run` would do, and do nothing; exit code 1 if something cannot work
    Plan {
        /// Links, in TOML
        file: PathBuf,
    },
    /// Compare source and mirror batch by batch; exit code 1 if they differ, 2 if something cannot be compared
    Verify {
        /// Links, in TOML
        file: PathBuf,
        /// A mirror that is behind is no difference
        #[arg(long)]
        behind_ok: bool,
        /// One link; all of the file's without it
        #[arg(long)]
        link: Option<String>,
    },
    /// Show what the running service does
    Status {
        /// The file it runs with
        file: PathBuf,
        /// Show it again every second
        #[arg(long)]
        watch: bool,
    },
    /// Give mirror topics to clients once they have everything; stop the source's producers first
    Promote(Promote),
    /// Give mirror topics to clients now, with what they have: the source is lost
    Failover(Promote),
    /// Make the target's topics, from which the source took over, its mirrors; exit code 3 if records wait for --confirm-discard
    Failback(Failback),
    /// Play a whole failover and failback on this machine, under load, and check every record, offset and group; needs nothing
    Drill {
        /// Records to write
        #[arg(long, hide = true, default_value_t = drill::RECORDS)]
        records: u64,
    },
    /// Begin nothing new until `resume` or a restart of the service
    Pause {
        /// The file the service runs with
        file: PathBuf,
        /// The link
        link: String,
        /// One topic of the source; all of the link's without it
        topic: Option<String>,
    },
    /// Go on after a pause, and look again at what is stopped
    Resume {
        /// The file the service runs with
        file: PathBuf,
        /// The link
        link: String,
        /// One topic of the source; all of the link's without it
        topic: Option<String>,
    },
}

/// What `promote` and `failover` are told.
#[derive(clap::Args)]
struct Promote {
    /// The file the service runs with
    file: PathBuf,
    /// The link
    link: String,
    /// Topics of the source; all of the link's without one
    topics: Vec<String>,
    /// How long to wait, in seconds; what is not promoted by then goes on being wanted
    #[arg(long, default_value_t = 60)]
    within: u64,
    /// How long the source's end must stand still before a planned promotion, in milliseconds
    #[arg(long, default_value_t = 5000)]
    still_ms: u64,
    /// How long transactions that are open when the source is sealed may go on before they are aborted, in milliseconds
    #[arg(long, default_value_t = 15_000)]
    abort_after_ms: u64,
    /// Want no planned promotion any more, and open the source again where it was sealed for one
    #[arg(long)]
    give_up: bool,
}

/// What `failback` is told.
#[derive(clap::Args)]
struct Failback {
    /// Links, in TOML
    file: PathBuf,
    /// The link back: its source is the side that took over, its target the side that comes back
    link: String,
    /// Topics of the source; all of the link's without one
    topics: Vec<String>,
    /// Cut off what the target alone has, after it was written to files
    #[arg(long)]
    confirm_discard: bool,
    /// Folder for what the target alone has
    #[arg(long, default_value = "failback", value_name = "DIR")]
    export: PathBuf,
    /// How long to wait for a broker, in seconds
    #[arg(long, default_value_t = 60)]
    within: u64,
}

/// Records wait for the operator's word.
const UNCONFIRMED: u8 = 3;

/// What a service says of a link is not older than this.
const SNAPSHOT: Duration = Duration::from_secs(3);

/// Wrong arguments or a wrong file, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { file } => with_config(&file, |config| {
            serve(async |shutdown| service::run(config, shutdown).await)
        }),
        Command::Agent { file } => with_config(&file, |config| {
            serve(async |shutdown| agent::run(config, shutdown).await)
        }),
        Command::Plan { file } => with_config(&file, show_plan),
        Command::Verify {
            file,
            behind_ok,
            link,
        } => with_config(&file, |mut config| {
            if let Some(name) = &link {
                config.links.retain(|link| link.name == *name);
                if config.links.is_empty() {
                    return failed(&format!("the file has no link '{name}'"));
                }
            }
            show_verify(config, behind_ok)
        }),
        Command::Status { file, watch } => with_config(&file, |config| show_status(&config, watch)),
        Command::Promote(promote) => with_config(&promote.file, |config| show_planned(&config, &promote)),
        Command::Failover(promote) => with_config(&promote.file, |config| show_failover(&config, &promote)),
        Command::Failback(failback) => {
            with_config(&failback.file, |config| show_failback(&config, &failback))
        }
        Command::Drill { records } => show_drill(records),
        Command::Pause { file, link, topic } => {
            with_config(&file, |config| wish(&config, "pause", &link, topic.as_deref()))
        }
        Command::Resume { file, link, topic } => {
            with_config(&file, |config| wish(&config, "resume", &link, topic.as_deref()))
        }
    }
}

fn with_config(file: &std::path::Path, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match Config::load(file) {
        Ok(config) => then(config),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(USAGE)
        }
    }
}

fn in_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    in_runtime_for(work).unwrap_or_else(|why| failed(&why))
}

fn in_runtime_for<T>(work: impl Future<Output = T>) -> Result<T, String> {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => Ok(runtime.block_on(work)),
        Err(error) => Err(format!("cannot start worker threads: {error}")),
    }
}

/// Runs until a signal comes.
fn serve(work: impl AsyncFnOnce(Shutdown) -> Result<(), String>) -> ExitCode {
    if let Err(error) = init_logging("info") {
        eprintln!("{error}");
        return ExitCode::from(USAGE);
    }
    in_runtime(async {
        let (trigger, shutdown) = shutdown_channel();
        if let Err(error) = trigger.on_signals() {
            eprintln!("cannot listen to signals: {error}");
            return ExitCode::FAILURE;
        }
        match work(shutdown).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    })
}

/// The lines that a command on its own needs; they end with it.
async fn lines(config: &mut Config) -> Result<ShutdownTrigger, ExitCode> {
    let (trigger, shutdown) = shutdown_channel();
    match line::start(config, line::End::Service, &shutdown).await {
        Ok(_) => Ok(trigger),
        Err(error) => {
            eprintln!("{error}");
            Err(ExitCode::from(USAGE))
        }
    }
}

fn show_plan(mut config: Config) -> ExitCode {
    in_runtime(async {
        let _lines = match lines(&mut config).await {
            Ok(lines) => lines,
            Err(code) => return code,
        };
        let plan = plan::plan(&config).await;
        say(plan.text.trim_end());
        match plan.mistakes {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    })
}

fn show_verify(mut config: Config, behind_ok: bool) -> ExitCode {
    in_runtime(async {
        let _lines = match lines(&mut config).await {
            Ok(lines) => lines,
            Err(code) => return code,
        };
        let verdict = verify::verify(&config, |line| {
            say(line);
        })
        .await;
        say(&format!(
            "{} partitions compared, {} differ, {} behind, {} not compared",
            verdict.compared, verdict.different, verdict.behind, verdict.failed
        ));
        if verdict.failed > 0 {
            ExitCode::from(2)
        } else if verdict.different > 0 || (verdict.behind > 0 && !behind_ok) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    })
}

fn show_status(config: &Config, watch: bool) -> ExitCode {
    loop {
        match status_text(config) {
            Ok(text) => {
                let shown = match watch {
                    // Clears the screen and begins at its top.
                    true => say(&format!("\x1b[2J\x1b[H{text}")),
                    false => say(text.trim_end()),
                };
                if !watch || !shown {
                    return ExitCode::SUCCESS;
                }
            }
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn status_text(config: &Config) -> Result<String, String> {
    let mut text = String::new();
    for link in &config.links {
        let head = ask(config, "GET", &format!("/links/{}", link.name))?;
        text.push_str(&format!(
            "link {}: {} partitions, {} offsets ({}) behind, {}/s, {}\n",
            link.name,
            head["partitions"],
            head["lag_offsets"],
            bytes_text(&head["lag_bytes"]),
            bytes_text(&head["bytes_per_second"]),
            eta_text(&head["eta_seconds"])
        ));
        if let Some(trouble) = head["trouble"].as_str() {
            text.push_str(&format!("  trouble: {trouble}\n"));
        }
        for refused in head["refused"].as_array().into_iter().flatten() {
            let (topic, reason) = (refused["topic"].as_str(), refused["reason"].as_str());
            text.push_str(&format!(
                "  not mirrored: {}: {}\n",
                topic.unwrap_or_default(),
                reason.unwrap_or_default()
            ));
        }
        for warned in head["warnings"].as_array().into_iter().flatten() {
            let (topic, warning) = (warned["topic"].as_str(), warned["warning"].as_str());
            text.push_str(&format!(
                "  {}: {}\n",
                topic.unwrap_or_default(),
                warning.unwrap_or_default()
            ));
        }
        text.push_str(&groups_line(&head));
        let topics = ask(config, "GET", &format!("/links/{}/topics", link.name))?;
        for partition in topics["partitions"].as_array().into_iter().flatten() {
            text.push_str(&partition_line(partition));
        }
    }
    Ok(text)
}

fn groups_line(head: &Value) -> String {
    let groups = &head["groups"];
    let age = match head["groups_age_seconds"].as_f64() {
        Some(age) => format!("{age:.1} s old"),
        None => "not looked at".to_owned(),
    };
    let mut line = format!(
        "  groups: {} of the source, {} of the target, {} in conflict, {} failed; {age}\n",
        groups["source"], groups["target"], groups["conflict"], groups["failed"]
    );
    for group in groups["conflicts"].as_array().into_iter().flatten() {
        line.push_str(&format!(
            "    conflict: {} has members on both sides: stop those of one side\n",
            group.as_str().unwrap_or_default()
        ));
    }
    if let Some(trouble) = groups["trouble"].as_str() {
        line.push_str(&format!("    {trouble}\n"));
    }
    line
}

fn partition_line(partition: &Value) -> String {
    let number = |key: &str| {
        partition[key]
            .as_i64()
            .map_or("?".to_owned(), |value| value.to_string())
    };
    let word = |key: &str| partition[key].as_str().unwrap_or_default().to_owned();
    let name = format!("{}-{}", word("target_topic"), number("partition"));
    let mut line = format!(
        "  {name:<40} {:<12} {} mirror {} to {}, source {} to {}, behind {} ({}, {:.0} s), {}/s, {}\n",
        word("state"),
        bar(partition),
        number("mirror_start"),
        number("mirror_end"),
        number("source_start"),
        number("source_end"),
        number("lag_offsets"),
        bytes_text(&partition["lag_bytes"]),
        partition["lag_seconds"].as_f64().unwrap_or_default(),
        bytes_text(&partition["bytes_per_second"]),
        eta_text(&partition["eta_seconds"])
    );
    if let Some(reason) = partition["reason"].as_str() {
        line.push_str(&format!("    {reason}\n"));
    }
    for loss in partition["losses"].as_array().into_iter().flatten() {
        line.push_str(&format!("    {}\n", loss.as_str().unwrap_or_default()));
    }
    line
}

/// How much of what the source has is there, in ten steps.
fn bar(partition: &Value) -> String {
    let number = |key: &str| partition[key].as_i64();
    let place = || {
        let (start, end) = (number("source_start")?, number("source_end")?);
        Some((number("mirror_end")?.clamp(start, end) - start, end - start))
    };
    let steps = match place() {
        None => return format!("[{:10}]", "?"),
        Some((_, 0)) => 10,
        // Full only when nothing is missing.
        Some((has, all)) => usize::try_from(i128::from(has) * 10 / i128::from(all)).unwrap_or_default(),
    };
    format!("[{:10}]", "#".repeat(steps))
}

fn bytes_text(value: &Value) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let Some(mut amount) = value.as_f64() else {
        return "? B".to_owned();
    };
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{amount:.0} B"),
        unit => format!("{amount:.1} {}", UNITS.get(unit).copied().unwrap_or_default()),
    }
}

fn eta_text(value: &Value) -> String {
    match value.as_f64() {
        None => "no end in sight".to_owned(),
        Some(0.0) => "up to date".to_owned(),
        Some(eta) if eta < 90.0 => format!("done in {:.0} s", eta.max(1.0)),
        Some(eta) if eta < 5400.0 => format!("done in {:.0} min", eta / 60.0),
        Some(eta) => format!("done in {:.1} h", eta / 3600.0),
    }
}

fn wish(config: &Config, verb: &str, link: &str, topic: Option<&str>) -> ExitCode {
    let query = topic.map_or_else(String::new, |topic| format!("?topic={}", escaped(topic)));
    let path = format!("/links/{}/{verb}{query}", escaped(link));
    let asked = address(config).and_then(|address| request(address, "POST", &path));
    match asked {
        Ok((202, _)) => ExitCode::SUCCESS,
        Ok((_, why)) => {
            eprintln!("{}", why.trim_end());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn show_planned(config: &Config, promote: &Promote) -> ExitCode {
    if promote.give_up {
        return match post_for_topics(config, "give-up", "", promote) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => failed(&why),
        };
    }
    let query = format!(
        "still_ms={}&abort_after_ms={}",
        promote.still_ms, promote.abort_after_ms
    );
    show_promote(config, "promote", &query, promote)
}

/// A service that never reached the source knows nothing of the mirrors; the target does.
/// Whether a service runs that knows the link's topics. What it says may be a moment old, and one that holds the partitions
/// would keep everybody else out.
fn has_discovered(config: &Config, link: &str) -> bool {
    let deadline = Instant::now() + SNAPSHOT;
    loop {
        match ask(config, "GET", &format!("/links/{}", escaped(link))) {
            Err(_) => return false,
            Ok(head) if head["is_discovered"] == true => return true,
            Ok(_) if Instant::now() >= deadline => return false,
            Ok(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn show_failover(config: &Config, promote: &Promote) -> ExitCode {
    let Some(link) = config.links.iter().find(|link| link.name == promote.link) else {
        return failed(&format!("the file has no link '{}'", promote.link));
    };
    if has_discovered(config, &promote.link) {
        return show_promote(config, "failover", "", promote);
    }
    let within = Duration::from_secs(promote.within);
    in_runtime(async {
        let said = |line: &str| {
            say(line);
        };
        match failover::failover(link, &promote.topics, within, said).await {
            Ok(_) => ExitCode::SUCCESS,
            Err(why) => failed(&why),
        }
    })
}

fn show_failback(config: &Config, asked: &Failback) -> ExitCode {
    let Some(link) = config.links.iter().find(|link| link.name == asked.link) else {
        return failed(&format!("the file has no link '{}'", asked.link));
    };
    let wish = Wish {
        topics: &asked.topics,
        export: &asked.export,
        discard: match asked.confirm_discard {
            true => Discard::Confirmed,
            false => Discard::Ask,
        },
        within: Duration::from_secs(asked.within),
    };
    let outcome = in_runtime_for(failback::failback(link, &wish, |line| {
        say(line);
    }));
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) | Err(why) => return failed(&why),
    };
    // A service that runs takes it up by itself, but for what it had stopped.
    let resume = format!("/links/{}/resume", escaped(&asked.link));
    let _ = address(config).and_then(|address| request(address, "POST", &resume));
    say(&format!(
        "{} partitions are mirrors of the link's source again, {} were cut back, {} wait for --confirm-discard",
        outcome.ready,
        outcome.discarded.len(),
        outcome.waiting.len()
    ));
    match outcome.waiting.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(UNCONFIRMED),
    }
}

fn show_drill(records: u64) -> ExitCode {
    let said = |line: &str| {
        say(line);
    };
    in_runtime(async {
        match drill::drill(records, said).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                say(&format!("drill FAILED: {}", why.trim_end()));
                ExitCode::FAILURE
            }
        }
    })
}

fn failed(why: &str) -> ExitCode {
    eprintln!("{}", why.trim_end());
    ExitCode::FAILURE
}

/// Asks the service for each topic, or for all of the link's.
fn post_for_topics(config: &Config, verb: &str, query: &str, promote: &Promote) -> Result<(), String> {
    let all = format!("/links/{}/{verb}?{query}", escaped(&promote.link));
    let paths = match promote.topics.is_empty() {
        true => vec![all],
        false => promote
            .topics
            .iter()
            .map(|topic| format!("{all}&topic={}", escaped(topic)))
            .collect(),
    };
    for path in paths {
        match address(config).and_then(|address| request(address, "POST", &path)) {
            Ok((202, _)) => {}
            Ok((_, why)) | Err(why) => return Err(why),
        }
    }
    Ok(())
}

fn show_promote(config: &Config, verb: &str, query: &str, promote: &Promote) -> ExitCode {
    if let Err(why) = post_for_topics(config, verb, query, promote) {
        return failed(&why);
    }
    let deadline = Instant::now() + Duration::from_secs(promote.within);
    loop {
        let partitions = match ask(
            config,
            "GET",
            &format!("/links/{}/topics", escaped(&promote.link)),
        ) {
            Ok(topics) => chosen_partitions(&topics, &promote.topics),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        let is_promoted = |partition: &Value| partition["stop"] == "promoted";
        let is_done = !partitions.is_empty() && partitions.iter().all(is_promoted);
        if is_done || Instant::now() >= deadline {
            return report_promotion(&partitions, is_done);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn chosen_partitions(topics: &Value, names: &[String]) -> Vec<Value> {
    let is_chosen = |partition: &&Value| {
        let name = partition["topic"].as_str().unwrap_or_default();
        names.is_empty() || names.iter().any(|chosen| chosen == name)
    };
    topics["partitions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(is_chosen)
        .cloned()
        .collect()
}

/// Says where each partition was cut. Whatever the source has from there on, the mirror has not.
fn report_promotion(partitions: &[Value], is_done: bool) -> ExitCode {
    for partition in partitions {
        let name = partition["target_topic"].as_str().unwrap_or_default();
        match partition["stop"] == "promoted" {
            true => {
                let cut = partition["cut"]
                    .as_i64()
                    .map_or("?".to_owned(), |cut| cut.to_string());
                say(&format!(
                    "{name}-{}: promoted; the source's records below offset {cut} are there",
                    partition["partition"]
                ));
            }
            false => {
                say(&format!(
                    "not promoted:\n{}",
                    partition_line(partition).trim_end()
                ));
            }
        }
    }
    if partitions.is_empty() {
        say("not promoted: the service knows no such partition yet; look at `status`");
    }
    match is_done {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn address(config: &Config) -> Result<std::net::SocketAddr, String> {
    config
        .http
        .ok_or_else(|| "service.http is \"off\" in this file: the service cannot be asked".to_owned())
}

fn ask(config: &Config, method: &str, path: &str) -> Result<Value, String> {
    let (status, body) = request(address(config)?, method, path)?;
    if status != 200 {
        return Err(body.trim_end().to_owned());
    }
    serde_json::from_str(&body).map_err(|error| format!("the service's answer is no JSON: {error}"))
}

/// Prints a line; `false` when nobody reads any more, which is no error.
fn say(line: &str) -> bool {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").is_ok()
}
