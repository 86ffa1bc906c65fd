//! What the guide says to users of kazoo.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use crate::common::{blocking, client_of, shared_server};
use crate::guide_page::{Page, output_of};
use crate::mixed_fleets::foreigner::{FOREIGN, python_with_kazoo};

/// The programs of the page in Python, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_programs_of_the_guide_run() {
    let hosts = blocking(|| shared_server().connect_string());
    let zk = client_of(&hosts).await;
    let page = Page::read("kazoo");
    let programs = page.programs("python");
    let source = format!(
        "hosts = '{hosts}{}'\n{}\nzk.stop()\nprint('{} programs')\n",
        zk.root(),
        programs.join("\n"),
        programs.len()
    );
    let said = blocking(|| output_of(python_with_kazoo().arg("-"), &source));
    assert_eq!(said, format!("{} programs\n", programs.len()));
}

/// What the page says of kazoo, where it differs from this client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_behaves_as_the_guide_says() {
    let hosts = blocking(|| shared_server().connect_string());
    let zk = client_of(&hosts).await;
    let (script, root) = (
        format!("{FOREIGN}/kazoo_traps.py"),
        format!("{hosts}{}", zk.root()),
    );
    let said = blocking(|| output_of(python_with_kazoo().args([script, root]), ""));
    assert_eq!(said.lines().count(), 5, "{said}");
}

/// The names that kazoo has, as it is installed.
#[test]
fn every_name_of_kazoo_is_in_the_guide() {
    let names = output_of(
        python_with_kazoo().arg(format!("{FOREIGN}/kazoo_names.py")),
        "",
    );
    Page::read("kazoo").assert_names(&names, 400);
}
