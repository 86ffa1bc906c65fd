//! What the guide says to users of Curator and of the Java client.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use crate::common::{blocking, client_of, shared_server};
use crate::guide_page::{Page, output_of};
use crate::mixed_fleets::foreigner::{FOREIGN, java_with_curator};
use zk_tests::run_directory::ServerDirectory;

/// What a program of the page does not show.
const BEGIN: &str = "
import java.util.List;
import java.util.concurrent.*;
import org.apache.curator.framework.*;
import org.apache.curator.framework.api.*;
import org.apache.curator.framework.api.transaction.*;
import org.apache.curator.framework.recipes.atomic.*;
import org.apache.curator.framework.recipes.cache.*;
import org.apache.curator.framework.recipes.leader.*;
import org.apache.curator.framework.recipes.locks.*;
import org.apache.curator.framework.recipes.nodes.*;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.*;
import org.apache.curator.x.discovery.*;
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.Stat;

public class CuratorPage {
    static void check(boolean holds) {
        if (!holds) throw new AssertionError();
    }

    public static void main(String[] arguments) throws Exception {
        String hosts = arguments[0];
";

/// The programs of a page in Java, one after the other. The first makes the client of the others.
async fn run_programs(page: &str) {
    let hosts = blocking(|| shared_server().connect_string());
    let zk = client_of(&hosts).await;
    let page = Page::read(page);
    let programs = page.programs("java");
    let (first, others) = programs.split_first().unwrap();
    let others: String = others
        .iter()
        .map(|other| format!("{{\n{other}\n}}\n"))
        .collect();
    let end = format!(
        "System.out.println({});\nSystem.exit(0);\n}}\n}}\n",
        programs.len()
    );
    let directory = ServerDirectory::create("curator-page").unwrap();
    let source = directory.path().join("CuratorPage.java");
    std::fs::write(&source, format!("{BEGIN}{first}\n{others}{end}")).unwrap();
    let root = format!("{hosts}{}", zk.root());
    let said = blocking(|| output_of(java_with_curator().arg(&source).arg(root), ""));
    assert_eq!(said, format!("{}\n", programs.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_programs_of_the_guide_run() {
    run_programs("curator").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_programs_of_the_guide_run() {
    run_programs("zookeeper").await;
}

/// What the page says of Curator, where it differs from this client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_behaves_as_the_guide_says() {
    let hosts = blocking(|| shared_server().connect_string());
    let zk = client_of(&hosts).await;
    let (program, root) = (
        format!("{FOREIGN}/CuratorTraps.java"),
        format!("{hosts}{}", zk.root()),
    );
    let said = blocking(|| output_of(java_with_curator().args([program, root]), ""));
    assert_eq!(said.lines().count(), 8, "{said}");
}

/// The names of a library, of the release on the class path.
fn names_of(library: &str) -> String {
    let program = format!("{FOREIGN}/JavaNames.java");
    output_of(java_with_curator().args([&program, library]), "")
}

#[test]
fn every_name_of_curator_is_in_the_guide() {
    Page::read("curator").assert_names(&names_of("curator"), 900);
}

#[test]
fn names_of_java_client_are_in_the_guide() {
    Page::read("zookeeper").assert_names(&names_of("zookeeper"), 200);
}
