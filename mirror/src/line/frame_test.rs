use super::*;

fn compressing() -> Packer {
    Packer::new(Some(Compression {
        level: 3,
        window_log: 20,
    }))
    .unwrap()
}

fn data(payload: impl Into<Bytes>) -> Frame {
    Frame {
        kind: Kind::Data,
        stream: 7,
        payload: payload.into(),
    }
}

/// Bytes that nothing makes smaller.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn unpack_all(packed: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut unpacker = Unpacker::new().unwrap();
    let mut frames = Vec::new();
    let mut rest = packed;
    while !rest.is_empty() {
        let header = Header::read(rest)?;
        let body = &rest[HEADER_BYTES..][..header.body_bytes];
        frames.push(unpacker.unpack(header, Bytes::copy_from_slice(body))?);
        rest = &rest[HEADER_BYTES + header.body_bytes..];
    }
    Ok(frames)
}

#[test]
fn every_frame_comes_back_as_it_was() {
    let mut packer = compressing();
    let mut packed = BytesMut::new();
    let mut frames: Vec<Frame> = Kind::ALL
        .into_iter()
        .map(|kind| Frame {
            kind,
            stream: 3,
            payload: Bytes::from_static(b"broker.example:9092"),
        })
        .collect();
    for len in [0, 1, COMPRESS_MIN, 10_000, PAYLOAD_MAX] {
        frames.push(data(vec![b'x'; len]));
        frames.push(data(noise(len, 5)));
    }
    for frame in &frames {
        packer.pack(frame, &mut packed).unwrap();
    }
    assert_eq!(unpack_all(&packed).unwrap(), frames);
}

#[test]
fn what_was_sent_before_costs_nearly_nothing_again() {
    let mut packer = compressing();
    let batch = noise(100_000, 9);
    let mut first = BytesMut::new();
    packer.pack(&data(batch.clone()), &mut first).unwrap();
    packer.skip = 0;
    let mut again = BytesMut::new();
    packer.pack(&data(batch), &mut again).unwrap();
    assert!(
        again.len() * 50 < first.len(),
        "{} and {}",
        first.len(),
        again.len()
    );
}

#[test]
fn what_is_compressed_already_grows_by_less_than_a_hundredth() {
    let mut packer = compressing();
    let mut packed = BytesMut::new();
    let mut plain = 0;
    for seed in 1..100 {
        let payload = noise(60_000, seed * 7919);
        plain += payload.len();
        packer.pack(&data(payload), &mut packed).unwrap();
    }
    assert!(packed.len() * 100 < plain * 101, "{} of {plain}", packed.len());
    assert_eq!(unpack_all(&packed).unwrap().len(), 99);
}

#[test]
fn a_header_that_claims_too_much_is_refused_before_its_body() {
    let mut packed = BytesMut::new();
    compressing().pack(&data(vec![1; 500]), &mut packed).unwrap();
    for at in [6, 10] {
        let mut hostile = packed.clone();
        hostile[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(Header::read(&hostile), Err(FrameError::Header(_))));
    }
    for at in [0, 1] {
        let mut hostile = packed.clone();
        hostile[at] = 200;
        assert!(matches!(Header::read(&hostile), Err(FrameError::Header(_))));
    }
    assert!(matches!(Header::read(&packed[..13]), Err(FrameError::Header(_))));
}

#[test]
fn damaged_bodies_are_refused_or_have_the_promised_length() {
    let mut packed = BytesMut::new();
    compressing()
        .pack(&data(b"order 17 ".repeat(400)), &mut packed)
        .unwrap();
    for at in HEADER_BYTES..packed.len() {
        let mut hostile = packed.clone();
        hostile[at] ^= 0x55;
        if let Ok(frames) = unpack_all(&hostile) {
            assert_eq!(frames[0].payload.len(), 3_600, "byte {at}");
        }
    }
    let mut shorter = packed.clone();
    shorter[6..10].copy_from_slice(&100_u32.to_be_bytes());
    assert!(matches!(unpack_all(&shorter), Err(FrameError::Body { .. })));
}
