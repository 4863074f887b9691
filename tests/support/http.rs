//! An HTTP client for tests, with nothing of ours in it.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};

/// An answer that takes longer fails the test.
const LONGEST: Duration = Duration::from_secs(180);

/// A client that asks directly and decodes nothing.
pub fn client() -> Client {
    // Another test may have been quicker.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().no_gzip().timeout(LONGEST).build().unwrap()
}

/// The body of a 200.
pub async fn body(request: RequestBuilder) -> String {
    request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}
