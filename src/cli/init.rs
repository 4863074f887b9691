//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args;

use super::flags::{POLL, SettingArgs};
use crate::config::{Config, ConfigErrors, Env, Loaded};

/// Without a server. Unlike other commands, `init` reads no configuration file.
const NO_SERVER: &str = "no server: name one in one of these two ways:
  an argument:  fedimeter init mastodon.social
  a variable:   FEDIMETER_TARGETS=mastodon.social (several with commas), or MASTODON_HOST=https://mastodon.social";

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Write the configuration to this file, which must not exist; - is standard output
    #[arg(short, long, value_name = "FILE", env = "FEDIMETER_INIT_OUTPUT", default_value = "fedimeter.yaml")]
    pub output: PathBuf,

    /// The servers, and how to ask them.
    #[command(flatten)]
    pub settings: SettingArgs<POLL>,
}

impl InitArgs {
    /// Loads a configuration with the servers, without a file.
    ///
    /// # Errors
    /// All errors at once.
    pub fn load_with_origins(&self, env: Env<'_>) -> Result<Loaded, ConfigErrors> {
        let mut sources = self.settings.sources(None, env);
        sources.flags.set("listen", "none");
        Config::load_with_origins(&sources)
            .map_err(|errors| if errors.lack_a_target() { ConfigErrors::other(NO_SERVER) } else { errors })
    }
}
