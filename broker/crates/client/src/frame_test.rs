use super::*;
use tokio::io::AsyncWriteExt;

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

#[tokio::test]
async fn frames_are_returned_one_by_one_however_they_are_cut() {
    let mut stream = frame(b"one");
    stream.extend(frame(b""));
    stream.extend(frame(&[7; 100_000]));
    for chunk in [1, 3, 4, 5, 7, 4096, stream.len()] {
        let (mut writer, reader) = tokio::io::duplex(1 << 20);
        for piece in stream.chunks(chunk) {
            writer.write_all(piece).await.unwrap();
        }
        drop(writer);
        let mut frames = FrameReader::new(reader, 100_000);
        assert_eq!(&frames.next().await.unwrap()[..], b"one");
        assert_eq!(&frames.next().await.unwrap()[..], b"");
        assert_eq!(frames.next().await.unwrap().len(), 100_000);
        assert!(matches!(frames.next().await, Err(FrameError::Eof)));
    }
}

#[tokio::test]
async fn a_claimed_length_beyond_the_limit_or_below_zero_is_refused_at_once() {
    for claimed in [1001, i32::MAX, -1, i32::MIN] {
        let (mut writer, reader) = tokio::io::duplex(64);
        writer.write_all(&claimed.to_be_bytes()).await.unwrap();
        let mut frames = FrameReader::new(reader, 1000);
        assert!(matches!(frames.next().await, Err(FrameError::Size { size }) if size == i64::from(claimed)));
    }
}

#[tokio::test]
async fn a_claimed_length_without_data_reserves_little() {
    let (mut writer, reader) = tokio::io::duplex(64);
    writer.write_all(&(1i32 << 30).to_be_bytes()).await.unwrap();
    writer.write_all(b"few").await.unwrap();
    drop(writer);
    let mut frames = FrameReader::new(reader, 1 << 30);
    assert!(matches!(frames.next().await, Err(FrameError::Eof)));
    assert!(
        frames.buffer.capacity() <= 4 * READ_SIZE_MIN,
        "{}",
        frames.buffer.capacity()
    );
}
