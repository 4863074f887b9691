//! Requests the URLs that list targets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::join_all;
use url::Url;

use crate::config::{MAX_FILE, read_token_file};
use crate::fetch::{Client, Request, Take};
use crate::target::{Target, Token};
use crate::tls::Authorities;

/// A URL, and the settings of its request.
pub struct Asked {
    url: Url,
    server: Target,
    token_file: Option<PathBuf>,
}

/// The answer of a URL.
pub struct Answer {
    /// The URL.
    pub url: Url,
    /// The text of the answer, or why there is none.
    pub text: Result<String, String>,
}

impl Asked {
    /// Creates a request that trusts these authorities besides the machine's.
    pub fn new(url: Url, token_file: Option<PathBuf>, authorities: Option<Authorities>) -> Asked {
        let mut place = url.clone();
        place.set_path("/");
        place.set_query(None);
        let server = Target { authorities, ..Target::new(place, None, None, &BTreeMap::new()) };
        Asked { url, server, token_file }
    }

    async fn ask(self, client: &Client) -> Answer {
        let Asked { url, server, token_file } = self;
        let text = match token(token_file).await {
            Ok(token) => get(client, &server, &url, token.as_ref()).await,
            Err(why) => Err(why),
        };
        Answer { url, text }
    }
}

async fn token(file: Option<PathBuf>) -> Result<Option<Token>, String> {
    let Some(file) = file else { return Ok(None) };
    let reading = tokio::task::spawn_blocking(move || read_token_file(&file));
    let read = reading.await.unwrap_or_else(|e| Err(format!("reading it panicked: {e}")));
    read.map(Some).map_err(|why| format!("targets_url_token_file: {why}"))
}

async fn get(client: &Client, server: &Target, url: &Url, token: Option<&Token>) -> Result<String, String> {
    let take = Take::UpTo(usize::try_from(MAX_FILE).unwrap_or(usize::MAX));
    let request = Request { target: server, url: url.clone(), etag: None, token, post: None, take };
    // A rate limit in the answer does not matter.
    let reply = client.get(request, 0.0).await.result.map_err(|failure| failure.reason)?;
    String::from_utf8(reply.body).map_err(|_| "its answer is not UTF-8".to_owned())
}

/// Requests all URLs at once, each with the timeout of a request.
pub async fn all(client: &Client, asked: Vec<Asked>) -> Vec<Answer> {
    let servers: Vec<Target> = asked.iter().map(|asked| asked.server.clone()).collect();
    client.prepare_for(&servers);
    join_all(asked.into_iter().map(|asked| asked.ask(client))).await
}
