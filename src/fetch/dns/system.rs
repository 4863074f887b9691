//! The system's name configuration: `resolv.conf` (or its equivalent) and the hosts
//! file. The files are read again when they change.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};

use super::super::local::is_local;

/// How often the files are checked for changes, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The names of the files on Unix.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// A configuration of names.
pub struct System {
    pub dns: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    ndots: usize,
}

/// The source of the configuration.
#[derive(Default)]
pub struct Source(Mutex<Option<Read>>);

/// The configuration, and when the files were last found unchanged.
struct Read {
    system: Arc<System>,
    changed: [Option<SystemTime>; 2],
    looked: Instant,
    is_fixed: bool,
}

impl Source {
    /// Creates a source with a fixed configuration.
    #[cfg(test)]
    pub fn fixed(system: System) -> Source {
        let (system, looked) = (Arc::new(system), Instant::now());
        Source(Mutex::new(Some(Read { system, changed: [None; 2], looked, is_fixed: true })))
    }

    /// Returns the configuration, which is read again if the files have changed.
    ///
    /// # Errors
    ///
    /// When the bridge lacks the resources to read it, and has not read it before.
    pub fn system(&self, timeout: Duration) -> Result<Arc<System>, io::Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(read) = &mut *known {
            if read.is_fixed || now.saturating_duration_since(read.looked) < LOOK_EVERY {
                return Ok(read.system.clone());
            }
            read.looked = now;
        }
        let changed = FILES.map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok());
        if let Some(read) = known.as_ref().filter(|read| read.changed == changed) {
            return Ok(read.system.clone());
        }
        match System::read(timeout) {
            Ok(system) => {
                let system = Arc::new(system);
                *known = Some(Read { system: system.clone(), changed, looked: now, is_fixed: false });
                Ok(system)
            }
            Err(error) => known.as_ref().map(|read| read.system.clone()).ok_or(error),
        }
    }
}

impl System {
    fn read(timeout: Duration) -> Result<System, io::Error> {
        let (config, options) = match read_system_conf() {
            Ok(read) => read,
            Err(NetError::Io(error)) if is_local(&error) => {
                return Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default()));
            }
            // Without a file or a name server in it, the name server is on this machine
            // (resolv.conf(5)).
            Err(error) => {
                tracing::debug!("the system names no name server ({error}); using the one on this machine");
                let own = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
                (ResolverConfig::from_name_servers(vec![own]), ResolverOpts::default())
            }
        };
        let hosts = match Hosts::from_system() {
            Err(error) if is_local(&error) => return Err(error),
            hosts => hosts.unwrap_or_default(),
        };
        System::new(config, options, hosts, timeout)
    }

    /// Creates a resolver for this configuration. Each of two attempts gets half of a
    /// look-up's time.
    pub fn new(
        config: ResolverConfig,
        mut options: ResolverOpts,
        hosts: Hosts,
        timeout: Duration,
    ) -> Result<System, io::Error> {
        // Without search domains, the machine's own domain is searched
        // (resolv.conf(5)).
        let search = match config.search() {
            [] => config.domain().cloned().into_iter().collect(),
            search => search.to_vec(),
        };
        options.timeout = options.timeout.min(timeout / 2);
        options.use_hosts_file = ResolveHosts::Never;
        // Two simultaneous name servers would need twice the sockets.
        options.num_concurrent_reqs = 1;
        // `Dns` already caches the addresses.
        options.cache_size = 0;
        let ndots = options.ndots;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let dns = builder.build().map_err(io::Error::other)?;
        Ok(System { dns, hosts, search, ndots })
    }

    /// Returns the addresses in the hosts file. Such a name is not resolved elsewhere.
    pub fn in_hosts(&self, name: &Name) -> Option<Arc<[IpAddr]>> {
        let find = |family| self.hosts.lookup_static_host(&Query::query(name.clone(), family));
        let found = [RecordType::AAAA, RecordType::A].into_iter().filter_map(find);
        let found: Vec<IpAddr> = found
            .flat_map(|lookup| {
                lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
            })
            .collect();
        (!found.is_empty()).then(|| found.into())
    }

    /// Returns the names to query in order (resolv.conf(5), `search` and `ndots`), and
    /// which of them is the name as it was written.
    pub fn candidates(&self, name: &Name) -> Vec<(Name, bool)> {
        let absolute = |name: Name| {
            let mut name = name;
            name.set_fqdn(true);
            name
        };
        let as_written = (absolute(name.clone()), true);
        if name.is_fqdn() {
            return vec![as_written];
        }
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        let below = self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut all: Vec<(Name, bool)> = below.map(|name| (absolute(name), false)).collect();
        all.insert(if dots >= self.ndots { 0 } else { all.len() }, as_written);
        all
    }
}
