//! Describes TLS errors in words for people.

use rustls::{CertificateError, Error, InvalidMessage};

/// Describes an error in one line, with the remedy if there is only one. The text
/// continues a sentence, so it has no full stop.
#[must_use]
pub fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "that port does not speak TLS: try http:// in place of https://".to_owned()
        }
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => format!("the other side ended the TLS handshake: {}", spaced(alert)),
        Error::PeerIncompatible(why) => format!("no common TLS version or cipher suite: {}", spaced(why)),
        Error::NoCertificatesPresented => "no certificate was shown".to_owned(),
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the certificate is signed by an authority that is not trusted here, or by itself".to_owned()
        }
        // webpki's own error type is not available, because only rustls depends on that
        // crate.
        CertificateError::Other(inner) if inner.to_string().contains("CaUsedAsEndEntity") => {
            "the certificate is that of an authority (CA:TRUE), which no server may show: make one for the \
             server, with openssl req -x509 -addext basicConstraints=CA:FALSE"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented: Vec<String> = presented.iter().map(|name| bare(name)).collect();
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("the certificate is for {names}, not for {}", expected.to_str())
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate ended on {}", day(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate begins on {} only; is the clock right", day(not_before.as_secs()))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not one for servers (extended key usage)".to_owned()
        }
        other => format!("the certificate cannot be accepted: {}", spaced(other)),
    }
}

/// Removes the wrapping in `DnsName("a.example")`.
fn bare(presented: &str) -> String {
    presented.split('"').nth(1).unwrap_or(presented).to_owned()
}

/// Writes names such as `HandshakeFailure` as words.
fn spaced(name: &dyn std::fmt::Debug) -> String {
    let mut words = String::new();
    for c in format!("{name:?}").chars() {
        if c.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// Formats a UTC day.
fn day(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or("an unknown day".to_owned(), |at| at.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    /// Returns a client's message about a server with this certificate, which it trusts
    /// or not.
    fn said(params: &CertificateParams, is_trusted: bool) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        let mut other = CertificateParams::new(["other.example".to_owned()]).unwrap();
        other.distinguished_name.push(DnType::CommonName, "another authority");
        let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
        roots.add(if is_trusted { certificate.der().clone() } else { other.der().clone() }).unwrap();
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut server = ServerConnection::new(server.into()).unwrap();
            let _ = server.complete_io(&mut stream);
        });
        let mut stream = TcpStream::connect(address).unwrap();
        let name = ServerName::try_from("a.example").unwrap();
        let mut client = ClientConnection::new(client.into(), name).unwrap();
        let error = client.complete_io(&mut stream).unwrap_err();
        drop(stream);
        serving.join().unwrap();
        in_words(error.get_ref().unwrap().downcast_ref().unwrap())
    }

    #[test]
    fn certificates_that_no_server_should_have() {
        let named = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
        let mut authority = named("a.example");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut ended = named("a.example");
        ended.not_after = date_time_ymd(2024, 2, 29);
        let mut to_come = named("a.example");
        to_come.not_before = date_time_ymd(2999, 1, 2);
        to_come.not_after = date_time_ymd(2999, 12, 31);
        for (params, is_trusted, expected) in [
            (named("a.example"), false, "not trusted here"),
            (named("b.example"), true, "is for b.example, not for a.example"),
            (authority, true, "that of an authority (CA:TRUE)"),
            (ended, true, "ended on 2024-02-29"),
            (to_come, true, "begins on 2999-01-02"),
        ] {
            let said = said(&params, is_trusted);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn the_rest_is_words_too() {
        let alert = Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert_eq!(in_words(&alert), "the other side ended the TLS handshake: handshake failure");
        let plain = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(in_words(&plain), "that port does not speak TLS: try http:// in place of https://");
        let bad = in_words(&Error::InvalidCertificate(CertificateError::BadSignature));
        assert_eq!(bad, "the certificate cannot be accepted: bad signature");
    }
}
