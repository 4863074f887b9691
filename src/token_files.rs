//! Files with access tokens, which are read again when they change, so that renewing a
//! token needs no restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::read_token_file;
use crate::log_once::LogOnce;
use crate::refresh::Refresher;
use crate::stamp::{LOOK_INTERVAL, Stamp};
use crate::target::{Target, Token, TokenOrigin};

/// The token files of all targets, by path.
#[derive(Debug, Default)]
struct TokenFiles(BTreeMap<PathBuf, TokenFile>);

#[derive(Debug, Default)]
struct TokenFile {
    /// The state of the file when it was last read.
    seen: Option<Stamp>,
    /// The targets that use the file, with their current token.
    users: Vec<(Arc<Target>, Token)>,
    failing: LogOnce,
}

/// News about a file.
#[derive(Debug, Clone, PartialEq)]
enum News {
    /// This target has a new token.
    Replaced(Arc<Target>),
    /// The file cannot be read, for this reason.
    Unreadable(String),
    /// The file can be read again.
    Readable(PathBuf),
}

/// Reads tokens from files that changed, for as long as it is polled.
pub async fn follow(refresher: &Refresher) {
    let mut files = TokenFiles::default();
    loop {
        // A reload may have changed the targets.
        files.are_those_of(&refresher.targets());
        tokio::time::sleep(LOOK_INTERVAL).await;
        if files.0.is_empty() {
            continue;
        }
        let reading = tokio::task::spawn_blocking(move || (files.read_changed(), files));
        let Ok((news, read)) = reading.await else { return };
        files = read;
        for news in news {
            tell(refresher, news);
        }
    }
}

fn tell(refresher: &Refresher, news: News) {
    match news {
        News::Replaced(target) => {
            let server = &*target.name;
            tracing::info!(server, "{server}: its token file has changed; the new token is now in use");
            refresher.has_new_token(&target);
        }
        News::Unreadable(why) => tracing::warn!("the token that was read before stays in use: {why}"),
        News::Readable(path) => tracing::info!("the token file {} can be read again", path.display()),
    }
}

impl TokenFiles {
    /// Updates which target uses which file. Files that were used before keep their
    /// state.
    fn are_those_of(&mut self, targets: &[Arc<Target>]) {
        let mut files = BTreeMap::<PathBuf, TokenFile>::new();
        for target in targets {
            if let (Some(token), Some(TokenOrigin::File(path))) = (&target.token, &target.token_origin) {
                let file = files.entry(path.clone()).or_insert_with(|| {
                    let users = Vec::new();
                    self.0.remove(path).map_or_else(TokenFile::default, |file| TokenFile { users, ..file })
                });
                file.users.push((target.clone(), token.clone()));
            }
        }
        self.0 = files;
    }

    /// Reads the files that changed, and passes new tokens to their targets. A file
    /// that cannot be read changes nothing. Blocks: do not call it on an async thread.
    fn read_changed(&mut self) -> Vec<News> {
        self.0.iter_mut().flat_map(|(path, file)| file.read_changed(path)).collect()
    }
}

impl TokenFile {
    fn read_changed(&mut self, path: &Path) -> Vec<News> {
        let file = std::fs::metadata(path).ok();
        // A pipe (`--token-file <(command)`) returns its token once, and may hang when
        // it is read again.
        let is_read_once = file.as_ref().is_some_and(|file| !file.is_file() && !file.is_dir());
        let stamp = file.as_ref().map(Stamp::of);
        if is_read_once || (stamp.is_some() && stamp == self.seen) {
            return Vec::new();
        }
        match read_token_file(path) {
            Ok(token) => {
                self.seen = stamp;
                let mut news = Vec::new();
                if self.failing.ends() {
                    news.push(News::Readable(path.to_owned()));
                }
                for (target, used) in self.users.iter().filter(|(_, used)| *used != token) {
                    used.replace(&token);
                    news.push(News::Replaced(target.clone()));
                }
                news
            }
            Err(why) if self.failing.begins() => vec![News::Unreadable(why)],
            Err(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, path: &Path) -> Arc<Target> {
        let url = format!("https://{name}").parse().unwrap();
        let mut target = Target::new(url, None, None, &BTreeMap::new());
        target.token = Some(Token::new("first"));
        target.token_origin = Some(TokenOrigin::File(path.to_owned()));
        Arc::new(target)
    }

    #[test]
    fn what_changes_is_read_again_and_what_cannot_be_read_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (own, shared) = (directory.path().join("own"), directory.path().join("shared"));
        std::fs::write(&own, "first\n").unwrap();
        std::fs::write(&shared, "first\n").unwrap();
        let targets = [target("a.example", &own), target("b.example", &shared), target("c.example", &shared)];
        let mut files = TokenFiles::default();
        files.are_those_of(&targets);
        let replaced = |places: &[usize]| {
            places.iter().map(|place| News::Replaced(targets[*place].clone())).collect::<Vec<_>>()
        };
        let tokens = || targets.each_ref().map(|t| t.token.as_ref().unwrap().secret().to_string());
        assert_eq!(files.read_changed(), [], "they are as they were");

        std::fs::write(&shared, "second\n").unwrap();
        assert_eq!(files.read_changed(), replaced(&[1, 2]));
        assert_eq!(tokens(), ["first", "second", "second"]);
        assert_eq!(files.read_changed(), []);

        // Orchestrators replace the file by another one.
        let new = directory.path().join("new");
        std::fs::write(&new, "third").unwrap();
        std::fs::rename(&new, &own).unwrap();
        assert_eq!(files.read_changed(), replaced(&[0]));
        assert_eq!(tokens(), ["third", "second", "second"]);

        for unreadable in ["", "two words", "two\nlines"] {
            std::fs::write(&shared, unreadable).unwrap();
            let news = files.read_changed();
            let [News::Unreadable(why)] = &news[..] else { panic!("{news:?}") };
            assert!(why.starts_with(&format!("{} ", shared.display())), "{why}");
            std::fs::remove_file(&shared).unwrap();
            assert_eq!(files.read_changed(), [], "it is said once");
            assert_eq!(tokens(), ["third", "second", "second"]);
            std::fs::write(&shared, "second").unwrap();
            assert_eq!(files.read_changed(), [News::Readable(shared.clone())]);
        }
        std::fs::write(&shared, "fourth").unwrap();
        assert_eq!(files.read_changed(), replaced(&[1, 2]));
        assert_eq!(tokens(), ["third", "fourth", "fourth"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_tells_its_token_once_is_not_read_again() {
        let target = target("a.example", Path::new("/dev/null"));
        let mut files = TokenFiles::default();
        files.are_those_of(&[target]);
        assert_eq!(files.read_changed(), []);
    }
}
