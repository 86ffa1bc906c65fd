//! The examples that end by themselves print what their first comment shows, and leave no session.

use zk_client::ClientConfig;

use super::program::{arguments, documented, examples, is_like, run, server, start};
use crate::common::soon;

examples! {
    blocking "../../../crates/zk-client/examples/blocking.rs";
    servers "../../../crates/zk-client/examples/servers.rs";
    sessions "../../../crates/zk-client/examples/sessions.rs";
    transactions "../../../crates/zk-client/examples/transactions.rs";
    watches "../../../crates/zk-client/examples/watches.rs";
    znodes "../../../crates/zk-client/examples/znodes.rs";
    barriers "../../../crates/zk-recipes/examples/barriers.rs";
    counters "../../../crates/zk-recipes/examples/counters.rs";
    discovery "../../../crates/zk-recipes/examples/discovery.rs";
    handover "../../../crates/zk-recipes/examples/handover.rs";
    leases "../../../crates/zk-recipes/examples/leases.rs";
    queues "../../../crates/zk-recipes/examples/queues.rs";
    typed "../../../crates/zk-recipes/examples/typed.rs";
}

async fn prints_what_it_shows(here: (&str, &str), source: &str) {
    let server = server().await;
    let mut program = start(here, &[&server.connect_string()]);
    assert!(soon("the end of the example", program.ended()).await);
    let address = server.connect_string();
    let printed = program.said().into_iter();
    let printed: Vec<_> = printed
        .map(|line| line.replace(&address, "localhost:2181"))
        .collect();
    let shown = documented(source);
    // Tasks print in any order.
    let mut others: Vec<_> = printed.iter().collect();
    let is_shown = shown.iter().all(|shown| {
        let like = others.iter().position(|line| is_like(line, shown));
        like.map(|like| others.remove(like)).is_some()
    }) && others.is_empty();
    assert!(is_shown, "printed: {printed:#?}\nshown: {shown:#?}");
    assert!(!shown.is_empty());
    assert!(server.sessions().is_empty());
}

macro_rules! tests {
    ($($test:ident: $file:literal, $run:expr;)*) => {$(
        #[tokio::test]
        async fn $test() {
            if let Some(arguments) = arguments() {
                return run($run(&arguments[0])).await;
            }
            let source = include_str!(concat!("../../../crates/", $file));
            prints_what_it_shows((module_path!(), stringify!($test)), source).await;
        }
    )*};
}

tests! {
    the_blocking_program: "zk-client/examples/blocking.rs", async |hosts: &str| {
        let hosts = hosts.to_owned();
        tokio::task::spawn_blocking(move || blocking::run(&hosts)).await.unwrap()
    };
    the_list_of_servers: "zk-client/examples/servers.rs", async |hosts: &str| {
        servers::show(ClientConfig::from_url(&format!("zk://{hosts}"))?).await
    };
    the_session_handed_over: "zk-client/examples/sessions.rs", sessions::hand_over;
    the_transactions: "zk-client/examples/transactions.rs", transactions::transact;
    the_watches: "zk-client/examples/watches.rs", watches::follow;
    the_znodes: "zk-client/examples/znodes.rs", znodes::change;
    the_barriers: "zk-recipes/examples/barriers.rs", barriers::meet;
    the_counters: "zk-recipes/examples/counters.rs", counters::count;
    the_discovery: "zk-recipes/examples/discovery.rs", discovery::find;
    the_handover: "zk-recipes/examples/handover.rs", handover::replace;
    the_lease: "zk-recipes/examples/leases.rs", async |hosts: &str| {
        leases::clean_up(hosts, "host-1").await.map(drop)
    };
    the_queue: "zk-recipes/examples/queues.rs", queues::work;
    the_typed_data: "zk-recipes/examples/typed.rs", typed::run;
}
