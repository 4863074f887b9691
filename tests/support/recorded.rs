//! The recorded answers of real servers.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A recorded answer.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The path below the folder.
    pub name: String,
    pub body: Vec<u8>,
}

/// The endpoint of a sample, from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    V1,
    V2,
    Activity,
    Nodeinfo,
    Discovery,
    Account,
    /// Another endpoint, an error, or another kind of file.
    Other,
}

/// The folder, from the project's root.
const FOLDER: &str = "../shared/samples";

/// All samples, sorted by name.
///
/// # Errors
///
/// If the samples are missing.
pub fn all() -> Result<Vec<Sample>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let mut samples = Vec::new();
    for path in files(&folder).and_then(|mut all| {
        all.extend(files(&folder.join("synthetic"))?);
        Ok(all)
    })? {
        let name = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "json") && name != WILD {
            let body = fs::read(&path).map_err(|e| format!("{FOLDER}/{name}: {e}"))?;
            samples.push(Sample { name, body });
        }
    }
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    if samples.is_empty() { Err(format!("{FOLDER} holds no samples")) } else { Ok(samples) }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect())
}

const WILD: &str = "wild-server-versions.json";

/// Software names with version strings that a crawler found.
///
/// # Errors
///
/// If the list is missing.
pub fn wild_versions() -> Result<Vec<(String, Vec<String>)>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(WILD);
    let text = fs::read_to_string(&path).map_err(|e| format!("{FOLDER}/{WILD}: {e}"))?;
    // JSON5, of which the list uses only a comment at the top and trailing commas.
    let text: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut text = text.join("\n");
    for (comma, without) in [(",\n  ]", "\n  ]"), (",\n}", "\n}")] {
        text = text.replace(comma, without);
    }
    serde_json::from_str::<serde_json::Map<String, Value>>(&text)
        .map_err(|e| format!("{FOLDER}/{WILD}: {e}"))?
        .into_iter()
        .map(|(name, versions)| Ok((name, serde_json::from_value(versions).map_err(|e| e.to_string())?)))
        .collect()
}

impl Sample {
    pub fn kind(&self) -> Kind {
        let has = |part: &str| self.name.contains(part);
        match () {
            () if has("-v1-instance") || has("-entity_v1_instance-") => Kind::V1,
            () if has("-v2-instance") || has("-entity_instance-") => Kind::V2,
            () if has("-instance-activity") || has("-weekly_activity-") => Kind::Activity,
            () if has("well-known-nodeinfo") => Kind::Discovery,
            () if has("nodeinfo") => Kind::Nodeinfo,
            () if has("-accounts-lookup") || has("-account-") => Kind::Account,
            () => Kind::Other,
        }
    }

    /// The version of the server of an activity sample, as in its instance document.
    pub fn version(&self) -> Option<String> {
        let name = self.name.rsplit('/').next()?;
        let (server, _) = name.split_once("-instance-activity")?;
        match server.strip_prefix("mastodon-") {
            Some(version) => Some(version.to_owned()),
            None => (server == "takahe").then(|| "takahe/0.11.0".to_owned()),
        }
    }

    /// The document, if the sample is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The newest `week` of an activity sample.
    pub fn newest_week(&self) -> Option<i64> {
        let number = |week: &Value| week.as_i64().or_else(|| week.as_str()?.parse().ok());
        self.json()?.as_array()?.iter().filter_map(|row| number(row.get("week")?)).max()
    }
}
