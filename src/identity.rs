//! The identity of a bridge: the default of `service.instance.id`, which stays the same
//! across restarts and differs between bridges.

use std::fmt::Write;
use std::path::Path;

use url::Url;

use crate::config::{Address, Config};
use crate::process::host_name;

/// The properties that distinguish a bridge.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The machine's name, which differs between replicas in containers.
    pub host_name: &'a str,
    /// The machine's id. Containers have none.
    pub machine_id: &'a str,
    /// The addresses to listen on.
    pub listen: &'a [Address],
    /// The configuration file.
    pub file: Option<&'a Path>,
    /// The part of the targets that it polls, where bridges divide them.
    pub shard: Option<usize>,
    /// The targets, which tell bridges without a file apart.
    pub targets: &'a [&'a str],
}

impl Identity<'_> {
    /// Combines the properties into a text that differs if any of them does.
    #[must_use]
    pub fn text(&self) -> String {
        let listen: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        let mut parts = vec![self.host_name.to_owned(), self.machine_id.to_owned(), listen.join(" ")];
        if let Some(file) = self.file {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            parts.push(format!("file {}", file.display()));
        } else {
            let mut targets: Vec<String> = self.targets.iter().map(|&target| target.to_owned()).collect();
            targets.sort_unstable();
            parts.extend(targets);
        }
        parts.extend(self.shard.map(|shard| format!("shard {shard}")));
        parts.iter().fold(String::new(), |mut text, part| {
            // The length keeps two parts from being read as other parts.
            let _ = write!(text, "{}:{part},", part.len());
            text
        })
    }
}

/// Returns a number below 2^48 that is the same for the same text on every machine.
#[must_use]
pub fn hash(text: &str) -> u64 {
    (uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).as_u128() >> 80) as u64
}

/// Returns the identity of a bridge with this configuration on this machine.
#[must_use]
pub fn of(config: &Config) -> String {
    // Lists of targets change, but the bridge stays the same.
    let named = config.targets.iter().filter(|target| target.source.is_none()).map(|target| &*target.name);
    let files = config.discovery.files.iter().map(|file| &*file.written);
    let targets: Vec<&str> =
        named.chain(files).chain(config.discovery.urls.iter().map(Url::as_str)).collect();
    let machine_id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())
        .unwrap_or_default();
    Identity {
        host_name: &host_name(),
        machine_id: machine_id.trim(),
        listen: &config.listen,
        file: config.file.as_deref(),
        shard: config.shard.is_part().then_some(config.shard.index),
        targets: &targets,
    }
    .text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::net::SocketAddr;

    #[test]
    fn bridges_that_differ_in_anything_differ() {
        let address = |port| Address::from(SocketAddr::from(([127, 0, 0, 1], port)));
        let (loopback, other_port) = ([address(9464)], [address(9465)]);
        let unix = [Address::Unix("/run/fedimeter.sock".into())];
        let (file, other_file) = (Path::new("/etc/fedimeter/a.yaml"), Path::new("/etc/fedimeter/b.yaml"));
        let one = Identity {
            host_name: "one",
            machine_id: "3f1c",
            listen: &loopback,
            file: None,
            shard: None,
            targets: &["a.example", "b.example"],
        };
        let with_file = Identity { file: Some(file), ..one };
        let bridges = [
            one,
            Identity { host_name: "two", ..one },
            Identity { machine_id: "", ..one },
            // The end of one part is not confused with the beginning of the next.
            Identity { host_name: "one3", machine_id: "f1c", ..one },
            Identity { listen: &other_port, ..one },
            Identity { shard: Some(0), ..one },
            Identity { shard: Some(1), ..one },
            Identity { listen: &unix, ..one },
            Identity { listen: &[], ..one },
            // The first target is the same.
            Identity { targets: &["a.example"], ..one },
            Identity { targets: &["a.example", "b.example", "c.example"], ..one },
            Identity { targets: &["a.exampleb.example"], ..one },
            with_file,
            Identity { file: Some(other_file), ..one },
            Identity { listen: &[], ..with_file },
        ];
        let texts: BTreeSet<String> = bridges.iter().map(Identity::text).collect();
        assert_eq!(texts.len(), bridges.len(), "{texts:#?}");
    }

    #[test]
    fn what_changes_while_a_bridge_stays_the_same_does_not_count() {
        let targets = ["a.example", "b.example"];
        let one = Identity {
            host_name: "one",
            machine_id: "3f1c",
            listen: &[],
            file: None,
            shard: None,
            targets: &targets,
        };
        assert_eq!(one.text(), Identity { targets: &["b.example", "a.example"], ..one }.text());
        let relative = Identity { file: Some(Path::new("fedimeter.yaml")), ..one };
        let absolute = std::env::current_dir().unwrap().join("fedimeter.yaml");
        let absolute = Identity { file: Some(&absolute), targets: &[], ..one };
        assert_eq!(relative.text(), absolute.text(), "targets in a file come and go");
    }
}
