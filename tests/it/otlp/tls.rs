//! The exporter's trust and client certificate.

use std::time::Duration;

use fedimeter::export::otlp::{Cause, Endpoint, Exporter, OtlpSettings, Protocol};

use super::{Sinks, export_with};
use crate::support::otlp_sink::Options;
use crate::support::pki;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_trusts_the_given_authority_and_shows_the_client_certificate() {
    let pki = pki::Pki::new();
    let with_tls = Options { tls: Some(pki.server.clone()), ..Options::default() };
    let with_clients = Options { client_ca: Some(pki.ca_pem.clone()), ..with_tls.clone() };
    let (plain, mutual) = (Sinks::start(with_tls).await, Sinks::start(with_clients).await);
    for protocol in Protocol::ALL {
        let (_, stranger) = plain.of(protocol);
        let failure = export_with(&stranger).await.failure.unwrap();
        assert_eq!((failure.cause, failure.attempts), (Cause::Tls, 1), "{failure}");
        assert!(failure.to_string().contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{failure}");

        let trusting = OtlpSettings { certificate: Some(pki.ca.clone()), ..stranger };
        assert_eq!(export_with(&trusting).await.accepted, 4, "{protocol}");

        let (_, nobody) = mutual.of(protocol);
        let nobody =
            OtlpSettings { certificate: Some(pki.ca.clone()), timeout: Duration::from_secs(1), ..nobody };
        let failure = export_with(&nobody).await.failure.unwrap();
        assert!(failure.to_string().contains("client certificate"), "{protocol}: {failure:?} {failure}");

        let known = OtlpSettings {
            client_certificate: Some(pki.client_certificate.clone()),
            client_key: Some(pki.client_key.clone()),
            ..nobody
        };
        let report = export_with(&known).await;
        assert_eq!(report.accepted, 4, "{protocol}: {report:?}");

        let half = OtlpSettings { client_key: None, ..known };
        let error = Exporter::build(&half).unwrap_err().to_string();
        assert!(error.contains("needs both"), "{error}");
        assert!(error.starts_with("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "), "{error}");
    }
}

/// An error about an unusable file names its variable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_file_names_its_variable() {
    let pki = pki::Pki::new();
    let missing = || Some("/nowhere/x.pem".into());
    for protocol in Protocol::ALL {
        let endpoint = Endpoint::new("https://127.0.0.1:1", protocol).unwrap();
        let ours = OtlpSettings {
            client_certificate: Some(pki.client_certificate.clone()),
            client_key: Some(pki.client_key.clone()),
            ..OtlpSettings::new(protocol, endpoint)
        };
        for (settings, told) in [
            (
                OtlpSettings { certificate: missing(), ..ours.clone() },
                "OTEL_EXPORTER_OTLP_CERTIFICATE: /nowhere/x.pem: No such file",
            ),
            (
                OtlpSettings { client_certificate: missing(), ..ours.clone() },
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: /nowhere/x.pem: No such file",
            ),
            (
                OtlpSettings { client_key: missing(), ..ours.clone() },
                "OTEL_EXPORTER_OTLP_CLIENT_KEY: /nowhere/x.pem: No such file",
            ),
            (
                OtlpSettings {
                    client_certificate: Some(
                        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/version-1.pem").into(),
                    ),
                    ..ours.clone()
                },
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: ",
            ),
        ] {
            let error = Exporter::build(&settings).unwrap_err().to_string();
            assert!(error.starts_with(told) && !error.contains("peer"), "{protocol}: {error}");
        }
    }
}
