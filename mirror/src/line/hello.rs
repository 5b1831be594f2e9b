//! The first words on a connection of a line: who is there, and for which line.
//!
//! Each end sends `THWLINE1`, which end it is (1), the length of the line's name (1) and the name, and reads the same. Two
//! services or two agents, or different lines, have nothing to say to each other.

use thalweg_client::ByteStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::End;

const MAGIC: &[u8; 8] = b"THWLINE1";

impl End {
    fn number(self) -> u8 {
        match self {
            End::Service => 1,
            End::Agent => 2,
        }
    }
}

/// Greets, and checks the other end's greeting.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn exchange(stream: &mut Box<dyn ByteStream>, name: &str, end: End) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("it ends before it greets: {error}");
    let mut greeting = MAGIC.to_vec();
    greeting.push(end.number());
    greeting.push(u8::try_from(name.len()).map_err(|_| "the line's name is too long".to_owned())?);
    greeting.extend_from_slice(name.as_bytes());
    stream.write_all(&greeting).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut head = [0; 10];
    stream.read_exact(&mut head).await.map_err(broken)?;
    if head[..8] != MAGIC[..] {
        return Err("it is no agent of this version; with TLS on one side only it looks the same".to_owned());
    }
    let mut other = vec![0; usize::from(head[9])];
    stream.read_exact(&mut other).await.map_err(broken)?;
    if other != name.as_bytes() {
        let other = String::from_utf8_lossy(&other).into_owned();
        return Err(format!("it calls the line '{other}', and this file '{name}'"));
    }
    match head[8] {
        number if number == end.number() => {
            Err("it is the same end: a line joins a service (`run`) and an agent (`agent`)".to_owned())
        }
        1 | 2 => Ok(()),
        _ => Err("it is neither a service nor an agent".to_owned()),
    }
}
