//! The settings of the bridge while they are being read.

use std::net::Ipv4Addr;

use crate::config::error::{Errors, Place};
use crate::config::log_filter::LogFilter;
use crate::config::otel;
use crate::config::setting::{Env, Origins};
use crate::config::values::Listen;
use crate::config::{Address, Compat, Config, Shard};
use crate::process::host_name;

/// The port that OpenTelemetry gives to Prometheus exporters.
pub const OTEL_PORT: u16 = 9464;
/// The port of the 2018 exporter, which `--compat dada` replaces.
const DADA_PORT: u16 = 9410;

pub const OTEL_HOST_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
pub const OTEL_PORT_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
pub const OTEL_LOG_VARIABLE: &str = "OTEL_LOG_LEVEL";

/// A configuration that is being read.
pub struct BridgeDraft {
    /// All settings that are fields of the configuration.
    pub config: Config,
    /// The addresses, some of them without a port.
    pub listen: Option<Vec<Listen>>,
    /// Which part of the targets, if that is said.
    pub shard: Option<usize>,
    /// Whether targets that say nothing report details by endpoint.
    pub endpoint_details: bool,
}

impl BridgeDraft {
    /// Creates a draft with the defaults and the OpenTelemetry variables.
    pub fn new(env: Env<'_>, origins: &mut Origins) -> BridgeDraft {
        let mut config = Config::default();
        if let Some(level) = LogFilter::of_otel(env) {
            config.log.level = level;
            origins.note("log_level", Place::outside(otel::origin(env, OTEL_LOG_VARIABLE)), false);
        }
        BridgeDraft { config, listen: None, shard: None, endpoint_details: true }
    }

    /// Which part of the targets is polled.
    pub fn shard(&self, origins: &Origins, errors: &Errors) -> Shard {
        let total = self.config.shard.total;
        Shard::of(self.shard, total, &host_name()).unwrap_or_else(|message| {
            let place = ["shard", "total_shards"].iter().find_map(|key| origins.of(key).last().cloned());
            errors.push(place.unwrap_or_else(|| Place::outside("shard")).error(message));
            Shard::default()
        })
    }

    /// Returns the addresses to listen on, each with its port. `origins` knows where
    /// they were configured.
    pub fn addresses(&self, env: Env<'_>, origins: &mut Origins, errors: &Errors) -> Vec<Address> {
        let port = if self.config.compat == Some(Compat::Dada) { DADA_PORT } else { OTEL_PORT };
        let listen = self.listen.clone().unwrap_or_else(|| {
            let (ip, port) = otel::prometheus(env);
            for (is_set, name) in [(ip.is_some(), OTEL_HOST_VARIABLE), (port.is_some(), OTEL_PORT_VARIABLE)] {
                if is_set {
                    origins.note("listen", Place::outside(otel::origin(env, name)), true);
                }
            }
            vec![Listen::At(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)]
        });
        let place = origins.of("listen").last().cloned().unwrap_or_else(|| Place::outside("listen"));
        let mut addresses: Vec<Address> = Vec::new();
        for address in listen.iter().filter_map(|listen| listen.address(port)) {
            // Port 0 means a new port each time.
            let is_new = matches!(address, Address::Ip(ip) if ip.port() == 0);
            if addresses.contains(&address) && !is_new {
                errors.push(place.error(format!("{address} is given twice; remove one of them")));
            }
            addresses.push(address);
        }
        if listen.len() > 1 && listen.contains(&Listen::Off) {
            errors.push(place.error("none cannot be combined with an address; remove one of them"));
        }
        addresses
    }
}
