//! Spans as OTLP JSON, the form of a trace in a file.

use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{Resource, trace::SpanData};

/// Writes spans as the JSON of an OTLP `ExportTraceServiceRequest` (OpenTelemetry protocol, "JSON Protobuf Encoding").
///
/// Jaeger's page opens such a file under "Upload"; a collector takes it at `/v1/traces`.
///
/// # Errors
///
/// If a value has no JSON form, which spans made by this crate never have.
pub fn to_otlp_json(spans: Vec<SpanData>, resource: &Resource) -> Result<String, serde_json::Error> {
    let resource = ResourceAttributesWithSchema::from(resource);
    let resource_spans = group_spans_by_resource_and_scope(spans, &resource);
    serde_json::to_string_pretty(&ExportTraceServiceRequest { resource_spans })
}
