//! The arguments of `healthcheck`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::flags::{ADDRESS, SettingArgs};
use crate::config::{Config, ConfigErrors, Env, REQUEST_TIME};

/// Arguments of `healthcheck`.
#[derive(Debug, Clone, Args)]
pub struct HealthcheckArgs {
    /// Configuration file (YAML); only the addresses and compat are used here
    #[arg(short, long, value_name = "FILE", env = "FEDIMETER_CONFIG")]
    pub config: Option<PathBuf>,

    /// Ask at this URL, wherever the configuration would listen: the address before
    /// /metrics, as in http://127.0.0.1:9464
    #[arg(long, value_name = "URL", env = "FEDIMETER_HEALTHCHECK_URL", value_parser = url)]
    pub url: Option<Url>,

    /// Timeout of the request
    #[arg(long, value_name = "DURATION", env = "FEDIMETER_HEALTHCHECK_TIMEOUT", default_value = "3s",
          value_parser = |text: &str| REQUEST_TIME.parse(text))]
    pub timeout: Duration,

    /// The address of the bridge.
    #[command(flatten)]
    pub address: SettingArgs<ADDRESS>,
}

impl HealthcheckArgs {
    /// Loads the configuration of a bridge with these flags, environment and file,
    /// without its targets.
    ///
    /// # Errors
    /// All errors at once.
    pub fn bridge(&self, env: Env<'_>) -> Result<Config, ConfigErrors> {
        Config::load_bridge(&self.address.sources(self.config.as_deref(), env))
    }
}

fn url(text: &str) -> Result<Url, String> {
    let wrong = "is not a URL to ask; write one such as http://127.0.0.1:9464";
    let url = Url::parse(text.trim()).map_err(|_| wrong.to_owned())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err(wrong.to_owned()) }
}
