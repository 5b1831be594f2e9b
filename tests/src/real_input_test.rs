use super::*;

#[test]
fn a_stanza_becomes_key_value_and_five_headers() {
    let stanza = "Package: zlib\nVersion: 1\nSection: libs\nPriority: optional\nDescription: x\n more";
    let package = parse(&format!("\n{stanza}\n")).expect("a package");
    assert_eq!((package.name.as_str(), package.stanza.as_str()), ("zlib", stanza));
    assert_eq!(
        package.headers,
        ["none", "optional", "libs", "none", "none"].map(str::to_owned)
    );
    assert_eq!(parse("\n"), None);
}
