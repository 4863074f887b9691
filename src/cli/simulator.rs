//! The commands of the simulator, which need no server.

use std::net::SocketAddr;

use clap::Args;

use super::flags::{LOGGING, PULL, SettingArgs};

/// Arguments of `demo`.
#[derive(Debug, Clone, Default, Args)]
pub struct DemoArgs {
    /// The address and content of `/metrics`, and logging.
    #[command(flatten)]
    pub settings: SettingArgs<{ PULL | LOGGING }>,
}

/// Arguments of `simulate`.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// The number of servers
    #[arg(short = 'n', long, value_name = "N", env = "FEDIMETER_SIMULATE_INSTANCES", default_value_t = 5)]
    pub instances: usize,

    /// The address to listen on
    #[arg(
        short,
        long,
        value_name = "ADDR",
        env = "FEDIMETER_SIMULATE_LISTEN",
        default_value = "127.0.0.1:9465"
    )]
    pub listen: SocketAddr,

    /// The same seed gives the same servers and numbers
    #[arg(long, value_name = "N", env = "FEDIMETER_SIMULATE_SEED", default_value_t = 1)]
    pub seed: u64,

    /// A fault, repeatable: i=3,path=/api/*,kind=status:503,every=5m,for=20s
    ///
    /// Instance and path default to all; every and for make the fault come and go.
    /// Kinds: status:N, status:N:empty, status:N:html, retry-after:TIME, delay:TIME,
    /// hang, stall, truncated, reset, wrong-type, odd-numbers, wrong-top, not-json,
    /// html-challenge, error-object, redirect:N:URL, rate-limited:TIME, too-large,
    /// header:NAME=VALUE.
    #[arg(long = "fault", value_name = "SPEC", env = "FEDIMETER_SIMULATE_FAULT")]
    pub faults: Vec<String>,

    /// Logging.
    #[command(flatten)]
    pub settings: SettingArgs<LOGGING>,
}
