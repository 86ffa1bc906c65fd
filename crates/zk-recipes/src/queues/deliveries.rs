//! The number of deliveries of an item, in a znode beside the queue that other consumers ignore.

use zk_client::{ErrorKind, path};

use super::claim::Claim;
use super::places::Places;
use crate::error::Result;
use crate::retry::RetryBackoff;

/// Counts a delivery, and returns the number with this one. The caller holds the claim, so that no
/// other consumer counts. After a lost reply a delivery may be counted twice.
///
/// A count that is older than the item is that of an earlier item: the numbers in the names begin anew when the
/// znode of the items is created again.
pub(super) async fn count(places: &Places, claim: &Claim) -> Result<u32> {
    let client = &places.client;
    let counter = path::join(&places.directories.deliveries, claim.name());
    let mut backoff = RetryBackoff::new();
    loop {
        let error = match client.get(&counter).await {
            Ok((data, stat)) => {
                let before = match stat.mzxid < claim.created() {
                    true => 0,
                    false => parse(&data),
                };
                let count = before.saturating_add(1);
                let set = client.set(&counter, count.to_string());
                match set.version(stat.version).await {
                    Ok(_) => return Ok(count),
                    Err(error) => error,
                }
            }
            Err(error) if error.kind() == ErrorKind::NoNode => {
                match client.create(&counter, "1").parents().await {
                    Ok(_) => return Ok(1),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::NoNode | ErrorKind::NodeExists | ErrorKind::BadVersion => {
                backoff.sleep().await;
            }
            _ => backoff.sleep_after(error).await?,
        }
    }
}

/// A count that is no number begins anew.
fn parse(data: &[u8]) -> u32 {
    let text = std::str::from_utf8(data).unwrap_or_default();
    text.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_count_is_a_decimal_number() {
        for (data, count) in [("3", 3), ("", 0), ("x", 0), ("-1", 0)] {
            assert_eq!(parse(data.as_bytes()), count, "{data:?}");
        }
        assert_eq!(parse(&[0xff]), 0);
    }
}
