//! Memory for what a request becomes: its decoded structures and those of its reply, charged before anything is decoded.
//!
//! The frame is charged by the network layer. A frame of very many tiny elements decodes to many times its size, and its
//! reply has a structure for each of them: the walk of the guard counts both beforehand. Every row of the table goes
//! through here.

use std::future::Future;
use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use thalweg_wire::guard::check_request;

use super::codec::{guard_limits, malformed};
use super::{ApiError, Context, Reply, Request};
use crate::budget::DECODING_UNWAITED_MAX;

/// What one element of the request costs beside itself while it is handled and answered: its resolved form and its part
/// of the reply. Bytes; the largest of today's, a partition of Fetch.
const ELEMENT_WORK_BYTES: u64 = 256;

/// Calls a handler with memory for its work, given back when the reply is built.
///
/// Waits while the budget is used up; a request that could never get enough is refused.
pub(super) async fn with_memory<F, Handling>(
    context: Arc<Context>,
    mut request: Request,
    handler: F,
) -> Result<Reply, ApiError>
where
    F: FnOnce(Arc<Context>, Request) -> Handling,
    Handling: Future<Output = Result<Reply, ApiError>>,
{
    let bytes = work_bytes(&request)?;
    let most = context.budget.frame_max();
    if bytes > most {
        return Err(ApiError::refused(format!(
            "the request would take about {bytes} bytes of memory decoded and answered, at most {most} are allowed; \
             that is half of memory.budget.bytes, or socket.request.max.bytes"
        )));
    }
    let memory = context.budget.acquire_decoding(&request.memory, bytes).await;
    if bytes <= DECODING_UNWAITED_MAX {
        // Not worth following to the reply.
        request.memory.merge(memory);
        return handler(context, request).await;
    }
    match handler(context, request).await? {
        Reply::Later(later) => Ok(Reply::later(async move {
            let response = later.await;
            drop(memory);
            response
        })),
        done => Ok(done),
    }
}

/// Returns about how many bytes the request takes beside its frame until it is answered.
fn work_bytes(request: &Request) -> Result<u64, ApiError> {
    let header = &request.header;
    // Has no elements, and is answered in versions that nobody knows.
    if header.api_key == ApiKey::ApiVersions {
        return Ok(0);
    }
    let facts = check_request(
        header.api_key as i16,
        header.api_version,
        &request.body,
        &guard_limits(&request.body),
    )
    .map_err(|cause| malformed(header, cause.into()))?;
    let elements = u64::try_from(facts.array_elements).unwrap_or(u64::MAX);
    let decoded = u64::try_from(facts.estimated_bytes).unwrap_or(u64::MAX);
    Ok(decoded.saturating_add(elements.saturating_mul(ELEMENT_WORK_BYTES)))
}

#[cfg(test)]
#[path = "decoding_test.rs"]
mod tests;
