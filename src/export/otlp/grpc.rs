//! OTLP over gRPC: one attempt of one request.

mod connection;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use self::connection::Connector;
use super::answer::Acceptance;
use super::settings::{Compression, OtlpSettings};
use super::{Failure, OtlpError, Signal, USER_AGENT};
use crate::tls;

/// A channel to a receiver.
pub(super) struct GrpcTransport {
    signal: Signal,
    endpoint: Endpoint,
    connector: Connector,
    proxy: Option<Arc<str>>,
    channel: Mutex<Channel>,
    metadata: MetadataMap,
    compression: Compression,
}

impl GrpcTransport {
    /// Must be called inside the Tokio runtime that will send.
    pub fn build(settings: &OtlpSettings, connect_timeout: Duration) -> Result<GrpcTransport, OtlpError> {
        let invalid = |error: tonic::transport::Error| OtlpError::Client(error.to_string());
        // The service determines the path; a path in the endpoint has no meaning.
        let mut url = settings.endpoint.url().clone();
        url.set_path("");
        url.set_query(None);
        let mut endpoint = Endpoint::from_shared(url.to_string())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(invalid)?
            .connect_timeout(connect_timeout);
        if settings.endpoint.is_https() {
            endpoint = endpoint.tls_config(tls_config(settings)?).map_err(invalid)?;
        }
        let proxy = super::proxy_of(settings)?;
        let connector = match &proxy {
            None => Connector::new(connect_timeout, None),
            // The authority for the receiver's certificate does not vouch for the
            // proxy.
            Some(proxy) => {
                let tls = tls::client_config(tls::roots(), None)
                    .map_err(|error| OtlpError::Client(error.to_string()))?;
                Connector::new(connect_timeout, Some((proxy, tls)))
            }
        };
        Ok(GrpcTransport {
            signal: settings.signal,
            channel: Mutex::new(endpoint.connect_with_connector_lazy(connector.clone())),
            endpoint,
            connector,
            proxy: proxy.map(|proxy| proxy.to_string().into()),
            metadata: MetadataMap::from_headers(settings.headers.map().clone()),
            compression: settings.compression,
        })
    }

    /// The proxy that requests go through, for display.
    pub fn proxy(&self) -> Option<&Arc<str>> {
        self.proxy.as_ref()
    }

    pub async fn send(&self, body: Bytes) -> Result<Acceptance, Failure> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut client = Grpc::new(channel).accept_compressed(CompressionEncoding::Gzip);
        if self.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut request = tonic::Request::new(body);
        *request.metadata_mut() = self.metadata.clone();
        client.ready().await.map_err(|error| Failure::from_transport(super::Protocol::Grpc, &error))?;
        match client.unary(request, self.signal.method(), BytesCodec).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(Failure::from_status(&status)),
        }
    }

    /// Closes a connection on which nothing came back. TCP alone notices a peer that
    /// disappeared only after a quarter of an hour.
    pub fn reset(&self) {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        self.connector.leave();
        *channel = self.endpoint.connect_with_connector_lazy(self.connector.clone());
    }
}

/// tonic builds its own rustls configuration, so it gets the same authorities and the
/// same identity as our other clients.
fn tls_config(settings: &OtlpSettings) -> Result<ClientTlsConfig, OtlpError> {
    let super::TlsMaterial { roots, identity, .. } = super::tls_material(settings)?;
    let mut config = ClientTlsConfig::new().trust_anchors(roots.roots.iter().cloned());
    if let Some(identity) = identity {
        config = config.identity(tonic::transport::Identity::from_pem(
            Certificate::from_pem(&identity.certificate),
            &identity.key,
        ));
    }
    Ok(config)
}

/// Passes on requests that are already encoded. A retry needs no second encoding, and
/// the size is known.
#[derive(Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Acceptance;
    type Encoder = BytesCodec;
    type Decoder = BytesCodec;

    fn encoder(&mut self) -> BytesCodec {
        *self
    }

    fn decoder(&mut self) -> BytesCodec {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Acceptance;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // The responses of the three signals differ only in the names of their fields.
        let message = ExportMetricsServiceResponse::decode(&mut *buffer);
        buffer.advance(buffer.remaining());
        // The points have arrived, even if the answer cannot be decoded.
        Ok(Some(message.map_or_else(|_| Acceptance::unreadable(), Acceptance::from)))
    }
}
