use super::*;

#[test]
fn a_level_and_a_list_of_directives_parse() {
    for text in [
        "info",
        "warn,thalweg_storage=debug",
        "error,thalweg_broker::network=trace",
    ] {
        assert!(parse_filter(text, "settings").is_ok(), "{text}");
    }
}

#[test]
fn a_wrong_filter_names_its_text_and_its_origin() {
    let error = parse_filter("info,thalweg=loud", LOG_FILTER_VARIABLE)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("info,thalweg=loud") && error.contains(LOG_FILTER_VARIABLE),
        "{error}"
    );
}
