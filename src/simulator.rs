//! A Mastodon server that never was.
