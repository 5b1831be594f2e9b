use super::*;

const SMALL: &str = r#"
[link.west]
source.bootstrap = "a:9092,b"
target.bootstrap = "c:9092"
topics = ["orders.*", "payments"]
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("mirror.toml"), text)
}

fn mistakes(text: &str) -> String {
    parse(text).expect_err("the text has a mistake").to_string()
}

#[test]
fn a_small_file_has_the_careful_defaults() {
    let config = parse(SMALL).unwrap();
    let link = &config.links[0];
    assert_eq!(
        config.http.map(|http| http.to_string()).as_deref(),
        Some(HTTP_DEFAULT)
    );
    assert_eq!((link.name.as_str(), link.source.bootstrap.len()), ("west", 2));
    assert_eq!(link.rules.on_gap, OnGap::Stop);
    assert_eq!(link.rules.on_rewind, OnRewind::Stop);
    assert_eq!(link.rules.read, ReadUpTo::Committed);
    assert_eq!(link.rules.log_start, LogStart::Follow);
    assert!(link.topics[0].is_match("orders.eu") && !link.topics[0].is_match("my-orders"));
    assert_eq!(link.bandwidth_bytes, None);
}

#[test]
fn an_unknown_key_is_told_with_its_line() {
    let said = mistakes(&format!("{SMALL}on_gaps = \"jump\"\n"));
    assert!(
        said.starts_with("mirror.toml:6: ") && said.contains("on_gaps"),
        "{said}"
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let said = mistakes(
        r#"
[service]
http = "nowhere"
[link.west]
id = "12"
source.bootstrap = "a:x"
target.bootstrap = "c"
topics = ["orders(", "b"]
prefix = "a/b"
lease_ms = 1
bandwidth_bytes = 3
"#,
    );
    for (line, part) in [
        (3, "service.http"),
        (5, "link.west.id"),
        (6, "link.west.source.bootstrap"),
        (8, "'orders(' is not a regular expression"),
        (9, "link.west.prefix"),
        (10, "link.west.lease_ms: 1 is not within 3000 and 600000"),
        (11, "link.west.bandwidth_bytes"),
    ] {
        let found = said
            .lines()
            .any(|text| text.starts_with(&format!("mirror.toml:{line}: ")) && text.contains(part));
        assert!(found, "line {line}, {part}: {said}");
    }
}

#[test]
fn a_file_without_links_and_a_missing_file_are_mistakes() {
    assert!(mistakes("").contains("[link.NAME]"));
    let error = Config::load(Path::new("/nowhere/mirror.toml")).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_link_id_is_stable_and_differs_by_name_and_source() {
    let id = derived_link_id("west", "abc");
    assert_eq!(id, derived_link_id("west", "abc"));
    assert_ne!(id, derived_link_id("wes", "tabc"));
    assert_ne!(id, derived_link_id("west", "abd"));
    assert_eq!(parse_link_id(&link_id_text(id)), Some(id));
    assert_eq!(parse_link_id("zz"), None);
}
