use super::*;

fn frame(client_id: Option<&str>) -> Bytes {
    // ApiVersions v0: key, version, correlation id, client id.
    let mut bytes = vec![0, 18, 0, 0, 0, 0, 0, 7];
    match client_id {
        None => bytes.extend([0xff, 0xff]),
        Some(id) => {
            bytes.extend((id.len() as i16).to_be_bytes());
            bytes.extend(id.as_bytes());
        }
    }
    bytes.extend(b"body");
    bytes.into()
}

#[test]
fn the_body_starts_after_the_header() {
    let (header, body) = RequestHeader::read(&frame(Some("me")), None).unwrap();
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (ApiKey::ApiVersions, 0, 7)
    );
    assert_eq!(header.client_id.as_deref(), Some("me"));
    assert_eq!(&body[..], b"body");
}

#[test]
fn a_repeated_client_id_is_shared() {
    let (first, _) = RequestHeader::read(&frame(Some("me")), None).unwrap();
    let (second, _) = RequestHeader::read(&frame(Some("me")), first.client_id.as_ref()).unwrap();
    assert!(Arc::ptr_eq(
        first.client_id.as_ref().unwrap(),
        second.client_id.as_ref().unwrap()
    ));
    let (other, _) = RequestHeader::read(&frame(None), first.client_id.as_ref()).unwrap();
    assert_eq!(other.client_id, None);
}

#[test]
fn a_cut_header_is_an_error_at_every_length() {
    let whole = frame(Some("client"));
    let header_size = whole.len() - b"body".len();
    for length in 0..header_size {
        assert!(
            RequestHeader::read(&whole.slice(..length), None).is_err(),
            "{length} bytes"
        );
    }
}
