use kafka_protocol::protocol::StrBytes;

use super::*;

fn asking(transactional_id: Option<&'static str>) -> InitProducerIdRequest {
    let id = transactional_id.map(|id| StrBytes::from_static_str(id).into());
    InitProducerIdRequest::default().with_transactional_id(id)
}

#[test]
fn rule_12_a_producer_without_a_transactional_id_gets_an_id() {
    assert_eq!(judge(&asking(None)), Ok(()));
}

#[test]
fn a_producer_that_has_an_id_and_an_epoch_gets_a_new_one() {
    let known = asking(None)
        .with_producer_id(ProducerId(7))
        .with_producer_epoch(i16::MAX);
    assert_eq!(judge(&known), Ok(()));
}

#[test]
fn an_id_without_an_epoch_and_an_epoch_without_an_id_are_invalid() {
    let id = asking(None).with_producer_id(ProducerId(7));
    let epoch = asking(None).with_producer_epoch(7);
    for wrong in [id, epoch] {
        assert_eq!(judge(&wrong).unwrap_err().code, ErrorCode::InvalidRequest);
    }
}

#[test]
fn an_empty_transactional_id_is_invalid() {
    let refusal = judge(&asking(Some(""))).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    assert!(refusal.message.contains("transactional.id"));
    assert_eq!(judge(&asking(Some("orders-1"))), Ok(()));
}
