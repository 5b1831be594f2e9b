//! A socket that carries requests as bytes, many at a time if asked to: for members and groups by the thousand, for
//! which as many real clients would be the load and not the broker.
//!
//! Invariant: an answer is never read into more memory than [`ANSWER_BYTES_MAX`].

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};

/// The leader of a thousand members gets about 100 KiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long any answer may take.
pub const ANSWER: Duration = Duration::from_secs(120);
/// How long the coordinators of a broker may take to be there.
const COORDINATOR: Duration = Duration::from_secs(60);
/// Between two questions for a coordinator.
const PAUSE: Duration = Duration::from_millis(20);
/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR.
const LATER: [i16; 3] = [14, 15, 16];

/// One connection.
#[derive(Debug)]
pub struct Wire {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// When the broker does not take the connection within [`ANSWER`].
    pub async fn connect(address: &str) -> Result<Wire> {
        let stream = timeout(ANSWER, TcpStream::connect(address))
            .await
            .map_err(|_| anyhow!("{address} takes no connection within {ANSWER:?}"))?
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Wire {
            reader: BufReader::new(reader),
            writer,
        })
    }

    /// Sends whole requests.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(&mut self, requests: &[u8]) -> Result<()> {
        let sent = timeout(ANSWER, self.writer.write_all(requests)).await;
        sent.map_err(|_| anyhow!("the broker reads nothing for {ANSWER:?}"))?
            .context("send a request")
    }

    /// Reads one answer, without its length.
    ///
    /// # Errors
    /// When there is none within [`ANSWER`], the broker hangs up, or the answer is too long.
    pub async fn hear(&mut self) -> Result<Vec<u8>> {
        let frame = async {
            let length = self.reader.read_i32().await.context("read an answer")?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > ANSWER_BYTES_MAX {
                bail!(
                    "the broker announces an answer of {length} bytes, {ANSWER_BYTES_MAX} at most are taken"
                );
            }
            let mut frame = vec![0; length];
            self.reader
                .read_exact(&mut frame)
                .await
                .context("read an answer")?;
            Ok(frame)
        };
        timeout(ANSWER, frame)
            .await
            .map_err(|_| anyhow!("no answer within {ANSWER:?}"))?
    }

    /// Sends one request and reads its answer with `read`.
    ///
    /// # Errors
    /// Those of the socket, and when the answer cannot be read.
    pub async fn ask<T>(&mut self, request: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<T> {
        self.send(request).await?;
        understood(&self.hear().await?, read)
    }

    /// Asks `request` again and again until its answer is no refusal that a coordinator gives before it is there.
    ///
    /// # Errors
    /// Those of the socket, and the last refusal after a minute.
    pub async fn ask_until_there<T>(
        &mut self,
        request: &[u8],
        read: impl Fn(&[u8]) -> Option<(i16, T)>,
    ) -> Result<T> {
        let asking = async {
            loop {
                match self.ask(request, &read).await? {
                    (0, answer) => return Ok(answer),
                    (code, _) if LATER.contains(&code) => sleep(PAUSE).await,
                    (code, _) => bail!("the coordinator refuses with error code {code}"),
                }
            }
        };
        timeout(COORDINATOR, asking)
            .await
            .map_err(|_| anyhow!("no coordinator within {COORDINATOR:?}"))?
    }
}

/// The answer as `read` has it.
///
/// # Errors
/// When it cannot be read.
pub fn understood<T>(answer: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<T> {
    read(answer).ok_or_else(|| {
        anyhow!(
            "an answer of another form: {:02x?}",
            &answer[..answer.len().min(64)]
        )
    })
}
