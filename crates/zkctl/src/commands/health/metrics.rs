//! The values that a server reports as `mntr`, or as `monitor` of its AdminServer.

use serde_json::Value;
use zk_client::admin::{self, AdminError, Latency, ServerVersion};

/// Keys, as `mntr` has them, and values, in the server's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics(Vec<(String, String)>);

impl Metrics {
    /// # Errors
    /// The server does not allow `mntr`, or its answer is another one.
    pub(crate) fn of_mntr(answer: &str) -> Result<Self, AdminError> {
        admin::mntr(answer).map(|entries| Metrics(entries.into_vec()))
    }

    /// From the answer of an AdminServer to `monitor`; `None` if it is no such answer. The keys lack the prefix
    /// of those of `mntr`.
    pub(crate) fn of_monitor(answer: &Value) -> Option<Self> {
        let object = answer.as_object()?;
        if object.get("command")? != "monitor" || !object.get("error")?.is_null() {
            return None;
        }
        let values = object.iter().filter_map(|(key, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return None,
            };
            let is_value = key != "command";
            is_value.then(|| (format!("zk_{key}"), value))
        });
        Some(Metrics(values.collect()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| &**value)
    }

    /// A number that may have decimals.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let number: f64 = self.get(key)?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// A number of things, which some releases write as in 2.0.
    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        let whole = value.split('.').next().unwrap_or(value);
        whole.parse().ok()
    }

    /// Of all requests since the start of the server or the last `srst`.
    pub(crate) fn latency(&self) -> Option<Latency> {
        let mut latency = Latency::default();
        latency.avg = self.number("zk_avg_latency")?;
        latency.min = whole(self.get("zk_min_latency")?)?;
        latency.max = whole(self.get("zk_max_latency")?)?;
        Some(latency)
    }

    pub(crate) fn release(&self) -> Option<ServerVersion> {
        self.get("zk_version")?.parse().ok()
    }
}

fn whole(text: &str) -> Option<i64> {
    text.split('.').next().unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Apache 3.8.0 answers.
    #[test]
    fn an_admin_server_has_the_values_of_mntr() {
        let answer = json!({
            "version": "3.8.0-x, built on 2024-12-29 17:54 UTC",
            "server_state": "leader",
            "avg_latency": 0.5,
            "min_latency": 0,
            "max_latency": 12,
            "synced_followers": 2,
            "command": "monitor",
            "error": null,
        });
        let metrics = Metrics::of_monitor(&answer).unwrap();
        assert_eq!(metrics.get("zk_server_state"), Some("leader"));
        assert_eq!(metrics.count("zk_synced_followers"), Some(2));
        assert_eq!(metrics.get("zk_command"), None);
        assert_eq!(metrics.release(), Some(ServerVersion::new(3, 8, 0)));
        let latency = metrics.latency().unwrap();
        assert_eq!((latency.min, latency.avg, latency.max), (0, 0.5, 12));
        let text: Vec<_> = metrics
            .iter()
            .map(|(key, value)| format!("{key}\t{value}\n"))
            .collect();
        assert_eq!(Metrics::of_mntr(&text.concat()), Ok(metrics));
    }

    #[test]
    fn another_answer_is_none() {
        for answer in [
            json!({ "status": "up" }),
            json!([]),
            json!({ "command": "ruok", "error": null }),
            json!({ "command": "monitor", "error": "This ZooKeeper instance is not currently serving requests" }),
        ] {
            assert_eq!(Metrics::of_monitor(&answer), None, "{answer}");
        }
        let refused = "mntr is not executed because it is not in the whitelist.\n";
        assert_eq!(Metrics::of_mntr(refused), Err(AdminError::NotAllowed));
    }

    #[test]
    fn numbers_of_all_releases_are_read() {
        let metrics = Metrics::of_mntr(
            "zk_watch_count\t7\nzk_synced_followers\t2.0\nzk_avg_latency\t1.5\nzk_min_latency\t-3\n\
             zk_max_latency\t9.0\nzk_nan\tNaN\nzk_text\tx\n",
        )
        .unwrap();
        assert_eq!(metrics.count("zk_watch_count"), Some(7));
        assert_eq!(metrics.count("zk_synced_followers"), Some(2));
        assert_eq!(metrics.latency().map(|latency| latency.min), Some(-3));
        assert_eq!(metrics.number("zk_nan"), None);
        assert_eq!(metrics.count("zk_text"), None);
        assert_eq!(metrics.count("zk_min_latency"), None);
    }
}
