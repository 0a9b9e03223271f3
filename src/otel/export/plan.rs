//! What all signals are made with.

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use crate::{environment::telemetry::SdkSettings, otel::ContentPolicy};

/// What all signals are made with: the settings of the SDK, the policy for content, and who speaks.
pub(super) struct Plan {
    pub(super) settings: SdkSettings,
    pub(super) content: ContentPolicy,
    pub(super) resource: Resource,
    pub(super) scope: InstrumentationScope,
}
