//! How much goes into one request.

use crate::otel::ContentPolicy;

/// What a request to the backend should stay below: a collector's gRPC receiver refuses more than 4 MiB by default.
const MAX_REQUEST_BYTES: usize = 3 * 1024 * 1024;

/// The attributes with content that a span has at most.
const CONTENT_ATTRIBUTES: usize = 3;

/// The SDK's own number of spans or log records in one request.
const SDK_BATCH_SIZE: usize = 512;

/// How many spans or log records go into one request, with content in them or without.
pub(super) fn size(has_content: bool, content: &ContentPolicy) -> usize {
    if has_content {
        (MAX_REQUEST_BYTES / CONTENT_ATTRIBUTES / content.max_bytes()).clamp(1, SDK_BATCH_SIZE)
    } else {
        SDK_BATCH_SIZE
    }
}
