//! A broker for tests: answers by a function, counts what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, ResponseHeader};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Address;

/// What the broker does with a request.
pub(crate) enum Reply {
    /// Sends this body behind a response header of the given version.
    Body(i16, BytesMut),
    /// Closes the connection.
    HangUp,
}

/// Makes a reply out of a response.
pub(crate) fn reply<T: Encodable + HeaderVersion>(response: &T, version: i16) -> Reply {
    let mut body = BytesMut::new();
    response.encode(&mut body, version).unwrap();
    Reply::Body(T::header_version(version), body)
}

/// One request as the broker sees it: key, version, and how many of its key came before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub key: ApiKey,
    pub version: i16,
    pub before: usize,
}

pub(crate) struct FakeBroker {
    pub address: Address,
    counts: Arc<Mutex<HashMap<i16, usize>>>,
}

impl FakeBroker {
    /// Starts a broker on a free port. It offers every API up to the given versions.
    pub(crate) async fn start(
        offered: &'static [(ApiKey, i16)],
        answer: impl Fn(&Address, Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port,
        };
        let counts = Arc::new(Mutex::new(HashMap::new()));
        let broker = Self {
            address: address.clone(),
            counts: Arc::clone(&counts),
        };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, counts, address) = (Arc::clone(&answer), Arc::clone(&counts), address.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, offered, &counts, |asked| answer(&address, asked)).await;
                });
            }
        });
        broker
    }

    /// Returns how many requests of an API have come.
    pub(crate) fn count(&self, key: ApiKey) -> usize {
        self.counts
            .lock()
            .unwrap()
            .get(&(key as i16))
            .copied()
            .unwrap_or(0)
    }
}

async fn serve(
    mut stream: TcpStream,
    offered: &[(ApiKey, i16)],
    counts: &Mutex<HashMap<i16, usize>>,
    answer: impl Fn(Asked) -> Reply,
) -> std::io::Result<()> {
    loop {
        let size = stream.read_i32().await?;
        let mut frame = vec![0; size as usize];
        stream.read_exact(&mut frame).await?;
        let mut frame = Bytes::from(frame);
        let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let before = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(key).or_default();
            *count += 1;
            *count - 1
        };
        let key = ApiKey::try_from(key).unwrap();
        let reply = match key {
            ApiKey::ApiVersions => reply(&api_versions(offered), version),
            key => answer(Asked { key, version, before }),
        };
        let Reply::Body(header_version, body) = reply else {
            return Ok(());
        };
        let mut out = BytesMut::new();
        out.put_i32(0);
        ResponseHeader::default()
            .with_correlation_id(correlation_id)
            .encode(&mut out, header_version)
            .unwrap();
        out.put_slice(&body);
        let size = (out.len() as i32 - 4).to_be_bytes();
        out[..4].copy_from_slice(&size);
        stream.write_all(&out).await?;
    }
}

fn api_versions(offered: &[(ApiKey, i16)]) -> ApiVersionsResponse {
    let api = |(key, max): &(ApiKey, i16)| {
        ApiVersion::default()
            .with_api_key(*key as i16)
            .with_max_version(*max)
    };
    ApiVersionsResponse::default().with_api_keys(offered.iter().map(api).collect())
}
