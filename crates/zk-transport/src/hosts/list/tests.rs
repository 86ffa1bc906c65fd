use super::*;

fn hosts(n: u16, seed: u64) -> Hosts {
    let list = (0..n)
        .map(|i| HostPort {
            host: format!("zk{i}"),
            port: 2181,
        })
        .collect();
    Hosts::new(list, BackoffPolicy::default(), seed)
}

#[test]
fn the_first_round_has_no_delays() {
    let mut hosts = hosts(5, 3);
    let mut seen: Vec<_> = (0..5).map(|_| hosts.next_attempt().unwrap()).collect();
    assert!(seen.iter().all(|a| a.delay.is_zero()));
    seen.sort_by(|a, b| a.host.host.cmp(&b.host.host));
    seen.dedup_by(|a, b| a.host == b.host);
    assert_eq!(seen.len(), 5);
    assert!(hosts.next_attempt().unwrap().delay >= Duration::from_millis(50));
}

/// A server that accepts and closes at once is reconnected to with a growing delay.
/// Guards: B44, D16.
#[test]
fn short_connections_keep_the_backoff() {
    let mut hosts = hosts(1, 3);
    let now = Instant::now();
    let mut waited = Duration::ZERO;
    let mut attempts = 0;
    while waited < Duration::from_secs(60) {
        waited += hosts.next_attempt().unwrap().delay;
        attempts += 1;
        hosts.handle_connected(now);
        hosts.handle_disconnected(now + Duration::from_millis(10));
    }
    assert!(attempts < 30, "{attempts} attempts in a minute");
}

#[test]
fn a_proven_connection_resets_the_backoff() {
    let mut hosts = hosts(3, 9);
    for _ in 0..20 {
        hosts.next_attempt();
    }
    let now = Instant::now();
    hosts.handle_connected(now);
    hosts.handle_disconnected(now + Duration::from_secs(5));
    assert!(hosts.next_attempt().unwrap().delay <= Duration::from_millis(100));
    assert!(hosts.next_attempt().unwrap().delay.is_zero());
}

#[test]
fn an_expiry_retries_the_same_server() {
    let mut hosts = hosts(2, 3);
    let now = Instant::now();
    let good = hosts.next_attempt().unwrap().host;
    hosts.handle_connected(now);
    hosts.handle_disconnected(now + Duration::from_secs(5));
    hosts.next_attempt();
    hosts.handle_disconnected(now);
    assert_eq!(hosts.next_attempt().unwrap().host, good);
    hosts.handle_disconnected(now);
    hosts.handle_expired();
    let again = hosts.next_attempt().unwrap();
    assert_eq!(again.host, good);
    assert!(again.delay <= Duration::from_millis(100));
}

/// A name has several addresses: an expiry retries the same address, and a round without delays tries
/// each of them.
/// Guards: P29.
#[test]
fn rounds_and_expiries_respect_addresses() {
    let mut hosts = hosts(1, 3);
    let found = [1, 2, 3].map(|n| SocketAddr::from(([192, 0, 2, n], 2181)));
    let dial = |hosts: &mut Hosts| {
        let delay = hosts.next_attempt().unwrap().delay;
        let mut addresses = hosts.begin_dialling(Duration::from_secs(1));
        let order = addresses.begin(found.to_vec());
        let first = order.fresh.into_iter().chain(order.failed).next().unwrap();
        addresses.handle_tried(first);
        addresses.handle_connected(first);
        hosts.handle_dialled(addresses);
        (first, delay)
    };
    for address in found {
        assert_eq!(dial(&mut hosts), (address, Duration::ZERO));
        hosts.handle_failed();
        hosts.handle_disconnected(Instant::now());
    }
    let (again, delay) = dial(&mut hosts);
    assert!(again == found[0] && !delay.is_zero(), "{delay:?}");
    hosts.handle_disconnected(Instant::now());
    hosts.handle_expired();
    assert_eq!(dial(&mut hosts).0, found[0]);
}

/// A server that grants sessions and calls them expired, over and over.
/// Guards: B44.
#[test]
fn repeated_expiries_keep_the_backoff() {
    let mut hosts = hosts(1, 3);
    let now = Instant::now();
    let mut waited = Duration::ZERO;
    let mut attempts = 0;
    while waited < Duration::from_secs(60) {
        waited += hosts.next_attempt().unwrap().delay;
        attempts += 1;
        if attempts % 2 == 0 {
            hosts.handle_disconnected(now);
            hosts.handle_expired();
        } else {
            hosts.handle_connected(now);
            hosts.handle_disconnected(now + Duration::from_millis(10));
        }
    }
    assert!(attempts < 30, "{attempts} attempts in a minute");
}

/// Guards: P22.
#[test]
fn the_fallback_is_tried_after_the_others() {
    let mut hosts = hosts(3, 9);
    let gateway: HostPort = "gateway:2181".parse().unwrap();
    hosts.set_fallback(vec![gateway.clone()]);
    assert_eq!(hosts.len(), 4);
    let attempts: Vec<_> = (0..8).map(|_| hosts.next_attempt().unwrap()).collect();
    for (n, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt.host == gateway, n % 4 == 3);
        assert_eq!(attempt.delay.is_zero(), n < 4, "{n}");
    }
}

/// Guards: P22.
#[test]
fn a_fallback_that_served_comes_first() {
    let mut hosts = hosts(2, 9);
    let gateway: HostPort = "gateway:2181".parse().unwrap();
    hosts.set_fallback(vec![gateway.clone()]);
    let now = Instant::now();
    for _ in 0..3 {
        hosts.next_attempt();
    }
    assert!(hosts.is_on_fallback());
    hosts.handle_connected(now);
    hosts.handle_disconnected(now + Duration::from_secs(5));
    assert_eq!(hosts.next_attempt().unwrap().host, gateway);
    let others = [(); 2].map(|()| hosts.next_attempt().unwrap().host);
    assert!(!others.contains(&gateway));
    // Once another server has served, the fallback is tried last again.
    hosts.handle_connected(now);
    hosts.handle_disconnected(now + Duration::from_secs(5));
    assert_ne!(hosts.next_attempt().unwrap().host, gateway);
}

/// The list came over a connection to the server that is the fallback from then on.
/// Guards: P22.
#[test]
fn a_fallback_known_only_later_comes_first() {
    let gateway: HostPort = "gateway:2181".parse().unwrap();
    let mut hosts = Hosts::new(vec![gateway.clone()], BackoffPolicy::default(), 9);
    let now = Instant::now();
    hosts.next_attempt();
    hosts.handle_connected(now);
    let configured = ["zk1:2181", "zk2:2181"].map(|host| host.parse().unwrap());
    hosts.replace(configured.to_vec()).unwrap();
    hosts.set_fallback(vec![gateway.clone()]);
    hosts.handle_disconnected(now + Duration::from_secs(5));
    assert_eq!(hosts.next_attempt().unwrap().host, gateway);
    // The attempt is under way, and no server has served yet.
    let mut hosts = Hosts::new(vec![gateway.clone()], BackoffPolicy::default(), 9);
    hosts.next_attempt();
    hosts.replace(configured.to_vec()).unwrap();
    hosts.set_fallback(vec![gateway]);
    assert!(!hosts.fallback_first);
}

/// Guards: P29.
#[test]
fn fruitless_rounds_give_each_attempt_more() {
    let mut hosts = hosts(15, 3);
    let shares = [15, 7, 3, 1, 1].map(|attempts| [attempts; 15]).concat();
    for (n, share) in shares.into_iter().enumerate() {
        hosts.next_attempt();
        assert_eq!(hosts.attempts_in_session(), share, "{n}");
    }
    let now = Instant::now();
    hosts.handle_connected(now);
    hosts.handle_disconnected(now + Duration::from_secs(5));
    assert_eq!(hosts.attempts_in_session(), 15);
}

#[test]
fn the_order_depends_on_the_seed() {
    let first = |seed| hosts(7, seed).next_attempt().unwrap().host;
    assert!((0..20).map(first).any(|h| h != first(0)));
}
