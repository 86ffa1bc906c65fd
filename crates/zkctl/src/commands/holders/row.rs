//! One holder or contender, as a line of text and as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use zk_client::{SessionId, Stat};

use super::contenders::Addresses;
use crate::output::node_text::add_text;
use crate::output::terminal::{visible_data, visible_line};
use crate::output::timestamp::iso_8601;

/// What is shown of a znode that a client holds, or waits with.
pub(super) struct Row<'a> {
    /// The lock, election or semaphore.
    pub(super) recipe: &'a str,
    pub(super) znode: &'a str,
    pub(super) state: &'static str,
    pub(super) identifier: Option<&'a [u8]>,
    pub(super) stat: Option<&'a Stat>,
    /// Members of the JSON object, and words of the text, that not all rows have.
    pub(super) more: Vec<(&'static str, Value)>,
}

impl Row<'_> {
    fn session(&self) -> Option<SessionId> {
        self.stat.and_then(Stat::owner)
    }

    pub(super) fn text(&self, addresses: &Addresses) -> String {
        let unknown = || "?".to_owned();
        let token = self
            .stat
            .map_or_else(unknown, |stat| stat.czxid.0.to_string());
        let age = self.stat.map_or_else(unknown, |stat| in_words(age(stat)));
        let session = match (self.stat, self.session()) {
            (_, Some(session)) => format!("session {session}"),
            // Not ephemeral: it outlives its client.
            (Some(_), None) => "no session".to_owned(),
            (None, None) => "session ?".to_owned(),
        };
        let peer = self.session().and_then(|session| addresses.get(session));
        let address = match (peer, self.is_connected(addresses)) {
            (Some(peer), _) => &*peer.address,
            (None, Some(false)) => "not connected",
            (None, _) => "-",
        };
        let identifier = match self.identifier {
            Some([]) => "-".into(),
            Some(data) => one_line(data),
            None => "(not permitted)".into(),
        };
        let words = self.more.iter().filter_map(|(_, value)| value.as_str());
        let state = [self.state].into_iter().chain(words);
        let state: Vec<_> = state.collect();
        format!(
            "  {:<26}  token {token:<12}  {age:>11}  {session:<26}  {:<21}  {identifier}",
            state.join(" "),
            visible_line(address),
        )
    }

    /// Whether the client is connected; `None` if that is not known, and for a znode without a session.
    fn is_connected(&self, addresses: &Addresses) -> Option<bool> {
        addresses.is_connected(self.session()?)
    }

    pub(super) fn json(&self, addresses: &Addresses) -> Value {
        let mut object = Map::new();
        let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
        set("path", self.recipe.into());
        set("state", self.state.into());
        for (key, value) in &self.more {
            set(key, value.clone());
        }
        set("znode", self.znode.into());
        let peer = self.session().and_then(|session| addresses.get(session));
        set(
            "session",
            self.session().map(|session| session.to_string()).into(),
        );
        set("connected", self.is_connected(addresses).into());
        set("address", peer.map(|peer| &*peer.address).into());
        set("server", peer.map(|peer| &*peer.server).into());
        set(
            "token",
            self.stat.map(|stat| stat.czxid.0.to_string()).into(),
        );
        set("created", self.stat.map(|stat| iso_8601(stat.ctime)).into());
        let milliseconds = |stat| u64::try_from(age(stat).as_millis()).unwrap_or(u64::MAX);
        set("age_ms", self.stat.map(milliseconds).into());
        match self.identifier {
            Some(data) => add_text(&mut object, "identifier", data),
            None => {
                object.insert("identifier".to_owned(), Value::Null);
            }
        }
        Value::Object(object)
    }
}

/// The time since the znode was created, by the servers' clock then and this machine's now; zero if this
/// machine's is behind.
fn age(stat: &Stat) -> Duration {
    let created = Duration::from_millis(u64::try_from(stat.ctime).unwrap_or_default());
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().saturating_sub(created)
}

/// An age with its two largest units, such as `3h 12m`.
fn in_words(age: Duration) -> String {
    let seconds = Duration::from_secs(age.as_secs());
    let text = humantime::format_duration(seconds).to_string();
    let units: Vec<_> = text.split(' ').take(2).collect();
    units.join(" ")
}

/// Contents of a znode on one line, cut off after 120 characters.
fn one_line(data: &[u8]) -> String {
    const SHOWN: usize = 120;
    let text = visible_data(data);
    let text = visible_line(text.trim_end_matches('\n'));
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_stays_on_its_line() {
        assert_eq!(one_line(b"a\nb\x1b[2J\xff\t"), "a\\nb\\u{1b}[2J\\xff\\t");
        let long = one_line("é".repeat(200).as_bytes());
        assert_eq!(long, "é".repeat(120) + "…");
    }

    #[test]
    fn an_age_has_two_units() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "0s");
        assert_eq!(words(62), "1m 2s");
        assert_eq!(words(3 * 3600 + 12 * 60 + 5), "3h 12m");
    }

    #[test]
    fn what_could_not_be_read_is_null() {
        let row = Row {
            recipe: "/l",
            znode: "/l/a",
            state: "waiting",
            identifier: None,
            stat: None,
            more: vec![("mode", "exclusive".into())],
        };
        let object = row.json(&Addresses::default());
        for key in [
            "session",
            "connected",
            "address",
            "server",
            "token",
            "created",
            "age_ms",
            "identifier",
        ] {
            assert_eq!(object.get(key), Some(&Value::Null), "{key}");
        }
        assert!(row.text(&Addresses::default()).contains("session ?"));
    }
}
