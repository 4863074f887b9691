//! An HTTP client for tests, without code of the project.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};

/// The timeout of a request.
const LONGEST: Duration = Duration::from_secs(180);

/// A client without proxies and decompression.
pub fn client() -> Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().no_gzip().timeout(LONGEST).build().unwrap()
}

/// The body of a response, whose status must be 200.
pub async fn body(request: RequestBuilder) -> String {
    request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}
