//! That of zk-embedded, whose tests are run with those of this program.

use super::program::{arguments, examples, run, server, start};

examples! {
    testing_a_service "../../../crates/zk-embedded/examples/testing_a_service.rs";
}

#[tokio::test]
async fn the_service_counts() {
    if let Some(arguments) = arguments() {
        let zk = zk_client::Client::connect(&*arguments[0]).await.unwrap();
        let invoices = testing_a_service::Invoices::open(&zk).await.unwrap();
        return run(async {
            invoices
                .next()
                .await
                .map(|number| println!("invoice {number}"))
        })
        .await;
    }
    let here = (module_path!(), "the_service_counts");
    let server = server().await;
    for number in 1..=2 {
        let mut program = start(here, &[&server.connect_string()]);
        assert!(program.ended().await);
        assert_eq!(program.said()[0], format!("invoice {number}"));
    }
}
