//! Frame length, request header, response header.

use crate::input::Input;
use crate::memory;
use thalweg_wire::frame::{
    API_VERSIONS_KEY, CLIENT_ID_SIZE_MAX, frame_body_len, parse_request_header, parse_response_header,
    peek_api,
};
use thalweg_wire::guard::{Direction, supported_versions};

const FRAME_SIZE_MAX: usize = 100 << 20;

/// Four bytes of length, then a frame body.
///
/// Beyond "no panic": no more memory than the client id; the body starts inside the frame; the header does not depend
/// on what follows it; a length that is taken is within the limit.
pub fn frame(data: &[u8]) {
    let mut input = Input::new(data);
    let mut prefix = [0; 4];
    let head = input.take(4);
    prefix[..head.len()].copy_from_slice(head);
    if let Ok(len) = frame_body_len(prefix, FRAME_SIZE_MAX) {
        assert!(len <= FRAME_SIZE_MAX);
        assert_eq!(i32::try_from(len).ok(), Some(i32::from_be_bytes(prefix)));
    }
    let body = input.rest();
    // The first call reads the table of all messages, which stays.
    let _ = supported_versions(Direction::Request, API_VERSIONS_KEY);
    let parsed = memory::within(CLIENT_ID_SIZE_MAX, "a request header", || {
        parse_request_header(body)
    });
    if let Ok((header, position)) = parsed {
        assert!(
            position <= body.len(),
            "the body starts at {position} of {}",
            body.len()
        );
        assert_eq!(peek_api(body), Some((header.api_key, header.api_version)));
        assert!(
            header
                .client_id
                .as_ref()
                .is_none_or(|id| id.len() <= CLIENT_ID_SIZE_MAX)
        );
        // An ApiVersions header that makes no sense takes the whole frame.
        if header.api_key != API_VERSIONS_KEY {
            let again = parse_request_header(&body[..position]);
            assert_eq!(again.as_ref(), Ok(&(header, position)));
        }
    }
    if let Some((key, version)) = peek_api(body) {
        let response = memory::within(0, "a response header", || {
            parse_response_header(key, version, &body[4..])
        });
        if let Ok((_, position)) = response {
            assert!(position <= body.len() - 4);
        }
    }
}
