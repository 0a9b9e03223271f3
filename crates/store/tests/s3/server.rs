//! A running versitygw, which ends with its guard.

use std::path::PathBuf;

use agent_runtime_store::{SegmentStore, SegmentStoreBuilder};

use crate::stack::Stack;

/// A running server.
pub(crate) struct Server(Stack);

impl Server {
    /// Starts a server, or says why the test is skipped.
    pub(crate) fn up(test: &str) -> Option<Self> {
        Stack::up(test, &["s3"]).map(Self)
    }

    /// An archive below a prefix of the bucket.
    pub(crate) fn archive(&self, prefix: &str) -> SegmentStoreBuilder {
        SegmentStore::bucket(format!("{}/{prefix}", self.0.get("S3_URL")))
            .with_option("aws_endpoint", self.0.get("S3_ENDPOINT"))
            .with_option("aws_allow_http", "true")
            .with_option("aws_region", "us-east-1")
            .with_option("aws_access_key_id", self.0.get("S3_KEY"))
            .with_option("aws_secret_access_key", self.0.get("S3_SECRET"))
    }

    /// The file of an object, as the server keeps it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.file("s3/events").join(name)
    }
}
