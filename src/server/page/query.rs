//! The query of the fleet's page. Every query is accepted: unknown parts are ignored,
//! and long ones are cut.

use percent_encoding::utf8_percent_encode;
use url::form_urlencoded;

use crate::api::SEGMENT;
use crate::clean::Cleaner;

/// The maximum length of a search, in bytes. The form field takes 80 characters.
const MAX_SEARCH: usize = 320;

/// Selects and orders targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The text to search for, in any case. Empty selects all targets.
    pub search: String,
    /// The state of the targets to select.
    pub state: Option<State>,
    /// The column to sort by; `None` for the order of the configuration.
    pub sort: Option<Sort>,
    /// Whether the largest value, or the last name, comes first.
    pub descending: bool,
    /// The number of the page, from 1.
    pub page: usize,
    /// Whether the page does not reload itself.
    pub paused: bool,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $( $variant:ident $word:literal; )* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the words are in the table")]
        pub enum $name { $($variant,)* }

        impl $name {
            /// All values, in the order in which they are shown.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word in a query.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            fn of(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|it| it.word() == word)
            }
        }
    };
}

words! {
    /// The state of targets in a query.
    State { Up "up"; Down "down"; Failing "failing"; Unknown "unknown"; }
}

words! {
    /// A column by which the targets can be sorted.
    Sort {
        Target "target";
        State "state";
        Software "software";
        Users "users";
        Posts "posts";
        Active "active";
        Endpoints "endpoints";
        Asked "asked";
    }
}

impl Sort {
    /// Whether the first click sorts the largest first, as for numbers.
    #[must_use]
    pub fn begins_descending(self) -> bool {
        matches!(self, Sort::Users | Sort::Posts | Sort::Active | Sort::Endpoints)
    }
}

impl Query {
    /// Reads a query. If a key occurs twice, the first one counts.
    #[must_use]
    pub fn parse(query: &str) -> Query {
        let value = |key: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(k, _)| k == key).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let sort = Sort::of(&value("sort"));
        let descending = match &*value("order") {
            "asc" => false,
            "desc" => true,
            _ => sort.is_some_and(Sort::begins_descending),
        };
        Query {
            search: Cleaner::default().clean(&value("q"), MAX_SEARCH),
            state: State::of(&value("state")),
            sort,
            descending: descending && sort.is_some(),
            page: value("page").parse().unwrap_or(1).max(1),
            paused: value("refresh") == "off",
        }
    }

    /// The pairs of this query. The first page is omitted.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if !self.search.is_empty() {
            pairs.push(("q", self.search.clone()));
        }
        if let Some(state) = self.state {
            pairs.push(("state", state.word().to_owned()));
        }
        if let Some(sort) = self.sort {
            pairs.push(("sort", sort.word().to_owned()));
            pairs.push(("order", if self.descending { "desc" } else { "asc" }.to_owned()));
        }
        if self.page > 1 {
            pairs.push(("page", self.page.to_string()));
        }
        if self.paused {
            pairs.push(("refresh", "off".to_owned()));
        }
        pairs
    }

    /// The address of this query, relative to the fleet's page.
    #[must_use]
    pub fn href(&self) -> String {
        let pairs = self.pairs();
        if pairs.is_empty() {
            return "./".to_owned();
        }
        format!("?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    }

    /// The address of this query, relative to a target's page.
    #[must_use]
    pub fn href_from_target(&self) -> String {
        let href = self.href();
        if href.starts_with('?') { format!("./{href}") } else { href }
    }

    /// The address of a target's page. The name is in the query, because proxies
    /// decode, merge or refuse slashes in a path.
    #[must_use]
    pub fn href_of(&self, name: &str) -> String {
        let paused = if self.paused { "&refresh=off" } else { "" };
        format!("target?name={}{paused}", utf8_percent_encode(name, SEGMENT))
    }

    /// The same query with reloading switched on or off.
    #[must_use]
    pub fn paused(&self, paused: bool) -> Query {
        Query { paused, ..self.clone() }
    }

    /// The same query for targets in this state, from the first page.
    #[must_use]
    pub fn of_state(&self, state: Option<State>) -> Query {
        Query { state, page: 1, ..self.clone() }
    }

    /// The same query sorted by this column, or in reverse if it already is.
    #[must_use]
    pub fn by(&self, sort: Sort) -> Query {
        let same = self.sort == Some(sort);
        let descending = if same { !self.descending } else { sort.begins_descending() };
        Query { sort: Some(sort), descending, page: 1, ..self.clone() }
    }

    /// Another page of this query.
    #[must_use]
    pub fn on_page(&self, page: usize) -> Query {
        Query { page, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_a_query_is_a_question() {
        for (query, again) in [
            ("", "./"),
            ("q=%20 social%20&sort=users", "?q=social&sort=users&order=desc"),
            ("sort=users&order=asc&page=3", "?sort=users&order=asc&page=3"),
            ("sort=target", "?sort=target&order=asc"),
            ("order=desc&page=0", "./"),
            ("page=-1&state=up%00&sort=USERS", "./"),
            ("page=99999999999999999999999999", "./"),
            ("state=down&state=up&x=y", "?state=down"),
            ("refresh=off&state=up", "?state=up&refresh=off"),
            ("refresh=on", "./"),
            ("q=%ff%fe", "?q=%EF%BF%BD%EF%BF%BD"),
            ("q=%22%3E%3Cscript%3E&&==&%", "?q=%22%3E%3Cscript%3E"),
            ("q=a%0d%0aSet-Cookie", "?q=a++Set-Cookie"),
            ("q=a%E2%80%AEb%E2%81%A6c", "?q=abc"),
        ] {
            let question = Query::parse(query);
            assert_eq!(question.href(), again, "{query}");
            assert_eq!(Query::parse(again.trim_start_matches(['?', '.', '/'])), question, "{query}");
        }
        assert_eq!(Query::parse(&format!("q={}", "ä".repeat(10_000))).search.len(), MAX_SEARCH);
    }

    #[test]
    fn a_column_is_turned_around_by_asking_again() {
        let by = |query: &str, sort| Query::parse(query).by(sort).href();
        assert_eq!(by("page=4", Sort::Users), "?sort=users&order=desc");
        assert_eq!(by("sort=users&page=4", Sort::Users), "?sort=users&order=asc");
        assert_eq!(by("sort=users", Sort::Target), "?sort=target&order=asc");
    }
}
