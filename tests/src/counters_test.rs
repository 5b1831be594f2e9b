use super::*;

#[test]
fn series_of_a_family_are_summed_and_comments_left_out() {
    let text = "# HELP a text 5\n# TYPE a counter\na{topic=\"x y\",p=\"0\"} 2\na{topic=\"z\"} 3.5\nb 1e3\n\nbroken\n";
    let numbers = parse(text);
    assert_eq!(numbers.get("a"), Some(&5.5));
    assert_eq!(numbers.get("b"), Some(&1_000.0));
    assert_eq!(numbers.len(), 2);
}

#[test]
fn lives_add_up_and_a_second_look_replaces_the_first() {
    let mut lives = Lives::default();
    lives.look(parse("a 2"));
    lives.look(parse("a 3"));
    assert_eq!(lives.total("a"), 3.0);
    lives.end();
    lives.end();
    lives.look(parse("a 4"));
    assert_eq!(lives.total("a"), 7.0);
    assert_eq!(lives.total("never"), 0.0);
}
