use super::*;

#[test]
fn topic_id_text_round_trips() {
    for seed in 0..64u8 {
        let mut bytes = [0u8; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = seed
                .wrapping_mul(37)
                .wrapping_add((index as u8).wrapping_mul(101));
        }
        let id = TopicId(bytes);
        assert_eq!(id.to_string().parse::<TopicId>(), Ok(id));
    }
}

#[test]
fn topic_id_text_is_kafkas() {
    // Kafka's null id, and the id of its metadata topic, as its tools print them.
    assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    let mut one = [0u8; 16];
    one[15] = 1;
    assert_eq!(TopicId(one).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
}

#[test]
fn a_wrong_topic_id_text_is_refused() {
    for text in [
        "",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAA!",
        "AAAAAAAAAAAAAAAAAAAAAB",
    ] {
        assert_eq!(text.parse::<TopicId>(), Err(TopicIdParseError), "{text}");
    }
}
