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
        let mut addresses = hosts.begin_dialling(Instant::now(), Duration::from_secs(1));
        let order = addresses.begin(found.to_vec());
        let first = order.fresh.into_iter().chain(order.failed).next().unwrap();
        addresses.handle_tried(first);
        addresses.handle_connected(first);
        hosts.handle_dialled(addresses);
        (first, delay)
    };
    let mut tried = Vec::new();
    for _ in found {
        let (address, delay) = dial(&mut hosts);
        assert_eq!(delay, Duration::ZERO);
        tried.push(address);
        hosts.handle_failed(Instant::now());
        hosts.handle_disconnected(Instant::now());
    }
    let (again, delay) = dial(&mut hosts);
    assert!(again == tried[0] && !delay.is_zero(), "{delay:?}");
    tried.sort();
    assert_eq!(tried, found);
    hosts.handle_disconnected(Instant::now());
    hosts.handle_expired();
    assert_eq!(dial(&mut hosts).0, again);
}

fn ip(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 2181))
}

/// The next attempt, at a server that has these addresses. Returns the address that it begins with.
fn dial_next(hosts: &mut Hosts, now: Instant, found: &[u8]) -> (HostPort, SocketAddr) {
    let host = hosts.next_attempt().unwrap().host;
    let mut addresses = hosts.begin_dialling(now, Duration::from_secs(1));
    let order = addresses.begin(found.iter().map(|n| ip(*n)).collect());
    let first = order.fresh.into_iter().chain(order.failed).next().unwrap();
    addresses.handle_tried(first);
    addresses.handle_connected(first);
    hosts.handle_dialled(addresses);
    (host, first)
}

/// A name with three addresses beside one with a single address: four servers.
/// Guards: P29.
#[test]
fn a_round_tries_each_address_once() {
    for seed in 0..50 {
        let mut hosts = hosts(2, seed);
        let now = Instant::now();
        let mut tried = Vec::new();
        for round in 0..4 {
            let mut this: Vec<_> = (0..4)
                .map(|_| {
                    let next = hosts.turns.front().copied().unwrap_or(hosts.next);
                    let several = hosts.hosts[next].host == "zk0";
                    let found: &[u8] = if several { &[1, 2, 3] } else { &[9] };
                    let (_, address) = dial_next(&mut hosts, now, found);
                    hosts.handle_ended(now, &Disconnect::ClosedInHandshake);
                    address
                })
                .collect();
            this.sort();
            assert_eq!(this, [1, 2, 3, 9].map(ip), "round {round}, seed {seed}");
            tried.extend(this);
        }
        assert_eq!((tried.len(), hosts.places()), (16, 4));
    }
}

/// It costs its budget again only after a while, or when no other server accepts.
/// Guards: P29.
#[test]
fn a_server_that_does_not_serve_comes_last() {
    let mut hosts = hosts(3, 9);
    let mut now = Instant::now();
    let (bad, _) = dial_next(&mut hosts, now, &[1]);
    hosts.handle_ended(now, &Disconnect::HandshakeTimeout(Duration::ZERO));
    for _ in 0..4 {
        let (good, _) = dial_next(&mut hosts, now, &[2]);
        assert_ne!(good, bad);
        hosts.handle_connected(now);
        now += Duration::from_secs(2);
        hosts.handle_ended(now, &Disconnect::ClosedByServer);
    }
    let rest: Vec<_> = (0..3).map(|_| dial_next(&mut hosts, now, &[3]).0).collect();
    assert_eq!(rest[2], bad);
    hosts.handle_connected(now);
    now += Duration::from_secs(60);
    hosts.handle_ended(now, &Disconnect::ClosedByServer);
    let rest: Vec<_> = (0..3).map(|_| dial_next(&mut hosts, now, &[3]).0).collect();
    assert!(rest[0] != bad && rest.contains(&bad), "{rest:?}");
}

fn named(n: u16) -> HostPort {
    HostPort {
        host: format!("zk{n}"),
        port: 2181,
    }
}

fn ordered(order: HostOrder) -> Hosts {
    let list = [3, 1, 2].map(named).to_vec();
    Hosts::ordered(list, order, BackoffPolicy::default(), 7)
}

#[test]
fn a_given_order_begins_with_its_first() {
    let mut hosts = ordered(HostOrder::AsGiven);
    let mut now = Instant::now();
    for _ in 0..3 {
        now += Duration::from_secs(100);
        let attempts: Vec<_> = (0..4).map(|_| hosts.next_attempt().unwrap().host).collect();
        assert_eq!(attempts, [3, 1, 2, 3].map(named));
        hosts.handle_connected(now);
        hosts.handle_ended(now + Duration::from_secs(5), &Disconnect::ClosedByServer);
    }
    assert!(
        hosts.better(Instant::now()).is_empty(),
        "it has no preference"
    );
}

/// The first server answers handshakes, serves for a while, and loses the client.
#[test]
fn a_server_that_keeps_losing_is_put_back() {
    let seconds = Duration::from_secs;
    for found in [&[1][..], &[1, 2]] {
        for order in [HostOrder::AsGiven, HostOrder::FirstAvailable] {
            let mut hosts = ordered(order);
            let mut now = Instant::now();
            // Each address of the first server is given up after its second loss; longer each time.
            for put_back in [10, 20] {
                let losses = if put_back == 10 { 2 } else { 1 };
                for _ in 0..losses * found.len() {
                    assert_eq!(dial_next(&mut hosts, now, found).0, named(3));
                    hosts.handle_connected(now);
                    now += seconds(2);
                    hosts.handle_ended(now, &Disconnect::ClosedByServer);
                }
                assert_eq!(dial_next(&mut hosts, now, &[8]).0, named(1));
                hosts.handle_connected(now);
                // The first of two addresses was lost 4 s before the other.
                now += seconds(put_back - 5);
                assert!(hosts.better(now).is_empty());
                now += seconds(5);
                hosts.handle_ended(now, &Disconnect::Moving);
                hosts.end_round();
            }
            // A loss long after the others is the first of its kind.
            for _ in 0..2 {
                now += seconds(61);
                assert_eq!(dial_next(&mut hosts, now, found).0, named(3));
                hosts.handle_connected(now);
                hosts.handle_ended(now + seconds(1), &Disconnect::ClosedByServer);
            }
        }
    }
}

#[test]
fn each_server_is_preferred_to_those_behind() {
    let mut hosts = ordered(HostOrder::FirstAvailable);
    for better in [&[][..], &[3], &[3, 1]] {
        hosts.next_attempt();
        assert_eq!(
            hosts.better(Instant::now()),
            better.iter().map(|n| named(*n)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn ranks_decide_the_order() {
    let rank = |host: &HostPort| u32::from(host.host != "zk2");
    let mut hosts = ordered(HostOrder::ranked(rank));
    let (rank, new) = hosts.unranked().unwrap();
    assert_eq!(new.len(), 3);
    new.iter().for_each(|host| hosts.set_rank(host, rank(host)));
    assert!(hosts.unranked().is_none());
    assert_eq!(hosts.next_attempt().unwrap().host, named(2));
    assert!(hosts.better(Instant::now()).is_empty());
    hosts.next_attempt();
    assert_eq!(hosts.better(Instant::now()), [named(2)]);
    // A new server is ranked, too, and the ranks of removed ones are dropped.
    hosts.update([1, 2, 4].map(named).to_vec()).unwrap();
    assert_eq!(hosts.unranked().unwrap().1, [named(4)]);
    assert_eq!(hosts.ranks.len(), 2);
}

/// The new servers are ranked only when the next attempt is about to begin.
#[test]
fn a_new_list_is_ranked_before_its_use() {
    for seed in 0..10 {
        let order = HostOrder::ranked(|_| 0);
        let list = [1].map(named).to_vec();
        let mut hosts = Hosts::ordered(list, order, BackoffPolicy::default(), seed);
        hosts.set_rank(&named(1), 5);
        hosts.next_attempt();
        hosts.handle_connected(Instant::now());
        assert!(hosts.update([2, 3, 4].map(named).to_vec()).unwrap());
        for (n, rank) in [(2, 7), (3, 1), (4, 9)] {
            hosts.set_rank(&named(n), rank);
        }
        let tried = [(); 3].map(|()| hosts.next_attempt().unwrap().host);
        assert_eq!(tried, [3, 2, 4].map(named), "seed {seed}");
    }
}

/// A login that fails beforehand, or a file that cannot be read, is not the fault of an address.
#[test]
fn an_attempt_without_a_dial_charges_none() {
    let now = Instant::now();
    for dials in [false, true] {
        let mut hosts = hosts(1, 3);
        let (host, bad) = dial_next(&mut hosts, now, &[1, 2]);
        hosts.handle_ended(now, &Disconnect::ClosedInHandshake);
        let (_, good) = dial_next(&mut hosts, now, &[1, 2]);
        hosts.handle_connected(now);
        hosts.handle_ended(now, &Disconnect::ClosedByServer);
        for _ in 0..2 {
            hosts.next_attempt();
            assert_eq!(hosts.addresses_of(&host).unwrap().current(), None);
            if dials {
                let addresses = hosts.begin_dialling(now, Duration::from_secs(1));
                hosts.handle_dialled(addresses);
            }
            hosts.handle_ended(now, &Disconnect::Dial("a file is missing".into()));
        }
        let addresses = hosts.addresses_of(&host).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!(
            addresses.put_back_until(&bad),
            Some(now + seconds(10)),
            "{dials}"
        );
        assert_eq!(addresses.put_back_until(&good), None);
    }
}

#[test]
fn the_nearest_server_is_much_nearer() {
    let mut hosts = ordered(HostOrder::Nearest);
    let ms = Duration::from_millis;
    hosts.next_attempt();
    assert!(
        hosts.better(Instant::now()).is_empty(),
        "nothing is measured"
    );
    for (n, took) in [(1, 30), (2, 16), (3, 14)] {
        hosts.set_distance(&named(n), ms(took));
    }
    hosts.end_round();
    assert_eq!(hosts.next_attempt().unwrap().host, named(3));
    hosts.next_attempt();
    hosts.next_attempt();
    assert_eq!(hosts.current(), Some(&named(1)));
    assert_eq!(hosts.better(Instant::now()), [named(3)]);
}

/// In one measurement anything can be late; on one rack a part of a millisecond is no distance.
#[test]
fn one_slow_answer_makes_no_server_far() {
    let ms = Duration::from_millis;
    let mut hosts = ordered(HostOrder::Nearest);
    hosts.next_attempt();
    let current = hosts.current().cloned().unwrap();
    let set = |hosts: &mut Hosts, own: Duration, others: Duration| {
        for n in 1..=3 {
            let took = if named(n) == current { own } else { others };
            hosts.set_distance(&named(n), took);
        }
    };
    set(&mut hosts, ms(20), ms(18));
    for own in [ms(80), Duration::MAX] {
        set(&mut hosts, own, ms(18));
        assert!(hosts.better(Instant::now()).is_empty(), "{own:?}");
    }
    set(&mut hosts, ms(80), ms(18));
    assert_eq!(hosts.better(Instant::now()).len(), 2);
    // Those that are near stay so for as long.
    for others in [ms(4), Duration::MAX, Duration::MAX] {
        set(&mut hosts, ms(10), others);
        assert_eq!(hosts.better(Instant::now()).len(), 2);
    }
    set(&mut hosts, ms(10), Duration::MAX);
    assert!(hosts.better(Instant::now()).is_empty());
    let mut hosts = ordered(HostOrder::Nearest);
    hosts.next_attempt();
    set(&mut hosts, ms(5), Duration::from_micros(200));
    assert!(hosts.better(Instant::now()).is_empty());
}

#[test]
fn a_left_server_is_tried_after_all_others() {
    let now = Instant::now();
    for order in [HostOrder::Shuffled, HostOrder::AsGiven] {
        let mut hosts = ordered(order);
        let (left, _) = dial_next(&mut hosts, now, &[1]);
        hosts.handle_connected(now);
        hosts.leave(now);
        let next = [(); 3].map(|()| hosts.next_attempt().unwrap());
        assert!(next[0].delay.is_zero() && next[1].delay.is_zero());
        assert!(next[0].host != left && next[1].host != left);
    }
    // A name that is alone is left for another of its addresses.
    for order in [HostOrder::Shuffled, HostOrder::AsGiven] {
        let mut hosts = Hosts::ordered(vec![named(1)], order, BackoffPolicy::default(), 7);
        let (_, left) = dial_next(&mut hosts, now, &[1, 2, 3]);
        hosts.handle_connected(now);
        hosts.leave(now);
        assert!(hosts.next_attempt().unwrap().delay.is_zero());
        hosts.prefer(named(1));
        assert_ne!(dial_next(&mut hosts, now, &[1, 2, 3]).1, left);
    }
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
