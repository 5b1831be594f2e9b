use super::*;

#[test]
fn a_failure_names_files_without_their_folders() {
    for (text, expected) in [
        (
            "write /home/me/results/compare.md: no space",
            "write compare.md: no space",
        ),
        ("--file=/a/b/c.properties ended", "--file=c.properties ended"),
        ("\"/a/b/java\" '/c/d/' (/e/f)", "\"java\" 'd' (f)"),
        (
            "12 MB/s and 1/2, and/or http://127.0.0.1:1/metrics",
            "12 MB/s and 1/2, and/or http://127.0.0.1:1/metrics",
        ),
        ("größer als /ä/ö: ü", "größer als ö: ü"),
        ("/", ""),
    ] {
        assert_eq!(without_folders(text), expected);
    }
    let error = anyhow::anyhow!("open /tmp/x/y").context("fill /tmp/z");
    assert_eq!(told(&error), "fill z: open y");
}
