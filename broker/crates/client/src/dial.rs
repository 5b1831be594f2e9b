//! How a byte stream to a broker comes about, where plain TCP is not enough.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::Address;

/// A stream of bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection that is being made.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Makes byte streams to brokers: through another program, or with encryption.
pub trait Dial: Debug + Send + Sync {
    /// Connects to the broker at `address`. The caller bounds the time; the future may be dropped at any point.
    ///
    /// # Errors
    /// What the way there says.
    fn dial<'a>(&'a self, address: &'a Address) -> Dialled<'a>;
}
