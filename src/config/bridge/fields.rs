//! Settings whose values are not simply fields of the configuration.

use url::Url;

use crate::config::error::Place;
use crate::config::setting::Value;
use crate::config::shard::ORDINAL;
use crate::config::syntax::{List, Parsed, Plain};
use crate::config::{Config, FilePattern};

use super::draft::BridgeDraft;
use super::syntaxes::{FILES, TOKEN_FILES, URLS};

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
