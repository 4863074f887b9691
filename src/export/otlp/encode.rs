//! Encodes telemetry as request bodies, with the exporters of `opentelemetry-otlp`.
//!
//! Those exporters convert, encode, and pass their requests to an [`HttpClient`]. For
//! metrics, the client in this module keeps the body and sends nothing. The crate would
//! hide the receiver's message, so fedimeter sends requests itself.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::CONTENT_ENCODING;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, HttpExporterBuilderSet, MetricExporter, MetricExporterBuilder, Protocol,
    RetryPolicy, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::split::Part;

/// Encodes what was collected, as protobuf without compression.
///
/// # Errors
///
/// When the crate refuses, with its message.
pub(super) async fn encode(metrics: &ResourceMetrics) -> Result<Part, String> {
    let kept = Arc::new(Keep::default());
    let client: Arc<dyn HttpClient> = kept.clone();
    let exporter = over(
        &client,
        || MetricExporter::builder().with_http(),
        MetricExporterBuilder::<HttpExporterBuilderSet>::build,
    );
    let exporter = exporter.map_err(|error| error.to_string())?;
    exporter.export(metrics).await.map_err(|error| error.to_string())?;
    let request = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let request = request.ok_or("the exporter produced no request")?;
    let body = plain(request).map_err(|error| error.to_string())?;
    Ok(Part { body, points: points(metrics) })
}

/// Builds one of the crate's exporters with our client, so that it only encodes. If no
/// compression is set in code, the crate reads `OTEL_EXPORTER_OTLP_COMPRESSION` and
/// fails for unknown values. In that case a compression that it supports is set.
pub(crate) fn over<B: WithExportConfig + WithHttpConfig, E>(
    client: &Arc<dyn HttpClient>,
    builder: impl Fn() -> B,
    build: impl Fn(B) -> Result<E, ExporterBuildError>,
) -> Result<E, ExporterBuildError> {
    let configured = || {
        builder()
            .with_shared_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary)
            // Nothing is sent to this URL; without it the crate would read the
            // environment.
            .with_endpoint("http://localhost/")
            .with_retry_policy(RetryPolicy::disabled())
    };
    build(configured()).or_else(|_| build(configured().with_compression(Compression::Gzip)))
}

/// Compresses a body for `Content-Encoding: gzip`.
///
/// # Errors
///
/// No error is known: compressing into memory does not fail.
pub(super) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 8), flate2::Compression::default());
    gzip.write_all(body)?;
    gzip.finish()
}

/// Returns the body of a request as it was before the crate compressed it.
pub(super) fn plain(request: Request<Bytes>) -> io::Result<Bytes> {
    let is_compressed = request.headers().contains_key(CONTENT_ENCODING);
    let body = request.into_body();
    if !is_compressed {
        return Ok(body);
    }
    let mut plain = Vec::new();
    GzDecoder::new(&*body).read_to_end(&mut plain)?;
    Ok(plain.into())
}

/// Keeps the request that it is given.
#[derive(Debug, Default)]
struct Keep(Mutex<Option<Request<Bytes>>>);

#[async_trait::async_trait]
impl HttpClient for Keep {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        Ok(Response::new(Bytes::new()))
    }
}

fn points(metrics: &ResourceMetrics) -> u64 {
    fn of<T>(data: &MetricData<T>) -> usize {
        match data {
            MetricData::Gauge(gauge) => gauge.data_points().count(),
            MetricData::Sum(sum) => sum.data_points().count(),
            MetricData::Histogram(histogram) => histogram.data_points().count(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        }
    }
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let counts = metrics.map(|metric| match metric.data() {
        AggregatedMetrics::F64(data) => of(data),
        AggregatedMetrics::I64(data) => of(data),
        AggregatedMetrics::U64(data) => of(data),
    });
    counts.sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_sdk::metrics::reader::MetricReader;
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
    use prost::Message;

    use super::*;
    use crate::export::pipeline::SharedReader;

    #[tokio::test]
    async fn what_was_collected_is_encoded_with_all_its_points() {
        let reader = SharedReader::new(Temporality::Cumulative);
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let meter = provider.meter("test");
        meter.u64_counter("a").build().add(1, &[]);
        let gauge = meter.f64_gauge("b").build();
        (0..3).for_each(|i| gauge.record(0.5, &[KeyValue::new("i", i)]));
        meter.u64_histogram("c").build().record(1, &[]);
        let mut metrics = ResourceMetrics::default();
        reader.collect(&mut metrics).unwrap();
        let Part { body, points } = encode(&metrics).await.unwrap();
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        assert_eq!((request, points), ((&metrics).into(), 5));
    }
}
