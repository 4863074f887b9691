//! Settings whose values are not simply fields of the configuration.

use url::Url;

use crate::config::choice::Choices;
use crate::config::error::Place;
use crate::config::setting::Value;
use crate::config::shard::ORDINAL;
use crate::config::syntax::{Boolean, List, OneOf, Parsed, Plain};
use crate::config::values::Listen;
use crate::config::{Address, Compat, Config, FilePattern};
use crate::target::Choice;

use super::draft::BridgeDraft;
use super::syntaxes::{self, ADDRESSES, FILES, HOSTS, TOKEN_FILES, URLS};

pub static TARGETS_FILE: Value<List<Plain>, BridgeDraft, Config> = Value {
    syntax: FILES,
    adds: true,
    set: |draft: &mut BridgeDraft, value, place: &Place| {
        let pattern = |path: String| FilePattern { written: path.into(), place: place.clone() };
        draft.config.discovery.files.extend(value.into_iter().map(pattern));
        Ok(())
    },
    get: |config: &Config| {
        let files = &config.discovery.files;
        Some(files.iter().map(|file| file.written.to_string()).collect())
            .filter(|all: &Vec<_>| !all.is_empty())
    },
};

pub static TARGETS_URL: Value<List<Parsed<Url>>, BridgeDraft, Config> = Value {
    syntax: URLS,
    adds: true,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.config.discovery.urls.extend(value);
        Ok(())
    },
    get: |config: &Config| Some(config.discovery.urls.clone()).filter(|urls| !urls.is_empty()),
};

pub static TARGETS_URL_TOKEN_FILE: Value<Plain, BridgeDraft, Config> = Value {
    syntax: Plain { kind: "path", placeholder: "FILE", expected: "the path of a file" },
    adds: false,
    set: |draft: &mut BridgeDraft, value, place: &Place| {
        draft.config.discovery.token_file = Some(place.directory().join(value));
        Ok(())
    },
    get: |config: &Config| config.discovery.token_file.as_ref().map(|path| path.display().to_string()),
};

pub static WEB_CONFIG_FILE: Value<Plain, BridgeDraft, Config> = Value {
    syntax: Plain { kind: "path", placeholder: "FILE", expected: "the path of a file" },
    adds: false,
    set: |draft: &mut BridgeDraft, value, place: &Place| {
        draft.config.web.file = Some(place.directory().join(value));
        Ok(())
    },
    get: |config: &Config| config.web.file.as_ref().map(|path| path.display().to_string()),
};

pub static WEB_TOKEN_FILE: Value<List<Plain>, BridgeDraft, Config> = Value {
    syntax: TOKEN_FILES,
    adds: false,
    set: |draft: &mut BridgeDraft, value, place: &Place| {
        draft.config.web.token_files = value.iter().map(|path| place.directory().join(path)).collect();
        Ok(())
    },
    get: |config: &Config| {
        let files = config.web.token_files.iter().map(|path| path.display().to_string());
        Some(files.collect::<Vec<_>>()).filter(|files| !files.is_empty())
    },
};

/// Which part of the targets; what it is among is another setting.
pub static SHARD: Value<Parsed<usize>, BridgeDraft, Config> = Value {
    syntax: ORDINAL,
    adds: false,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.shard = Some(value);
        Ok(())
    },
    get: |config: &Config| config.shard.is_part().then_some(config.shard.index),
};

pub static METRICS: Value<Choices, BridgeDraft, Config> = Value {
    syntax: Choices,
    adds: true,
    set: |draft: &mut BridgeDraft, value: Choice, _: &Place| {
        draft.config.metrics.include.extend(value.include);
        draft.config.metrics.exclude.extend(value.exclude);
        Ok(())
    },
    get: |config: &Config| Some(config.metrics.clone()).filter(|choice| *choice != Choice::default()),
};

pub static LISTEN: Value<List<Parsed<Listen>>, BridgeDraft, Config> = Value {
    syntax: ADDRESSES,
    adds: false,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.listen = Some(value);
        Ok(())
    },
    get: |config: &Config| {
        let listen = |address: &Address| match address {
            Address::Ip(address) => Listen::At(address.ip(), Some(address.port())),
            Address::Unix(path) => Listen::Unix(path.clone()),
        };
        Some(config.listen.iter().map(listen).collect())
    },
};

pub static LISTEN_HOSTS: Value<List<Parsed<String>>, BridgeDraft, Config> = Value {
    syntax: HOSTS,
    adds: false,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.config.listen_hosts = value;
        Ok(())
    },
    get: |config: &Config| Some(config.listen_hosts.clone()).filter(|hosts| !hosts.is_empty()),
};

pub static EXTERNAL_URL: Value<Parsed<Url>, BridgeDraft, Config> = Value {
    syntax: syntaxes::EXTERNAL_URL,
    adds: false,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.config.external_url = Some(value);
        Ok(())
    },
    get: |config: &Config| config.external_url.clone(),
};

pub static COMPAT: Value<OneOf<Compat>, BridgeDraft, Config> = Value {
    syntax: syntaxes::COMPAT,
    adds: false,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.config.compat = Some(value);
        Ok(())
    },
    get: |config: &Config| config.compat,
};

pub static ENDPOINT_DETAILS: Value<Boolean, BridgeDraft, Config> = Value {
    syntax: Boolean,
    adds: false,
    set: |draft: &mut BridgeDraft, value, _: &Place| {
        draft.endpoint_details = value;
        Ok(())
    },
    // Each target has its own value.
    get: |_: &Config| None,
};

pub static OTLP_BACKLOG_DIRECTORY: Value<Plain, BridgeDraft, Config> = Value {
    syntax: Plain { kind: "path", placeholder: "DIR", expected: "the path of a directory" },
    adds: false,
    set: |draft: &mut BridgeDraft, value, place: &Place| {
        draft.config.delivery.directory = Some(place.directory().join(value));
        Ok(())
    },
    get: |config: &Config| config.delivery.directory.as_ref().map(|path| path.display().to_string()),
};
