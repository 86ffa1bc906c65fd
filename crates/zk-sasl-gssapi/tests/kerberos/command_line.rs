//! `zkctl-gssapi`.

use std::path::Path;
use std::process::{Command, Output};

use super::scene::{Realm, Tickets, localhost, play};

const PROGRAM: &str = env!("CARGO_BIN_EXE_zkctl-gssapi");

/// Runs it without the keytab and the cache of this process.
fn zkctl(program: &str, before: &[&str], hosts: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(before)
        .args(arguments)
        .env("ZK_SERVER", hosts)
        .env_remove("KRB5_CLIENT_KTNAME")
        .env("KRB5CCNAME", "MEMORY:none")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn app(realm: &Realm) -> std::path::PathBuf {
    let keytab = realm.directory.join("app.keytab");
    realm.kdc.add("app", "1h");
    realm.kdc.export("app", &keytab);
    keytab
}

fn options(keytab: &Path) -> [&str; 5] {
    let keytab = keytab.to_str().unwrap();
    [
        "--kerberos",
        "--kerberos-keytab",
        keytab,
        "--timeout",
        "60s",
    ]
}

#[test]
fn zkctl_logs_in_with_a_keytab() {
    play(
        "command_line::zkctl_logs_in_with_a_keytab",
        Tickets::Keytab,
        async |realm| {
            let server = realm.server();
            let hosts = localhost(server.client_port());
            let keytab = app(&realm);
            let run = |arguments: &[&str]| {
                let patient = ["--connect-timeout", "600s"];
                let arguments = [arguments, &options(&keytab), &patient].concat();
                zkctl(PROGRAM, &[], &hosts, &arguments)
            };
            let created = run(&[
                "create",
                "/from-zkctl",
                "x",
                "--acl",
                "sasl:app@ZK.TEST:cdrwa",
            ]);
            assert_eq!(stdout(&created), "/from-zkctl\n");
            assert_eq!(stdout(&run(&["get", "/from-zkctl"])), "x");

            // The command under the lock has the environment of the caller.
            let patient = ["--connect-timeout", "600s"];
            let script = "echo $KRB5CCNAME ${KRB5_CLIENT_KTNAME-unset}; env | grep -c ZKCTL_";
            let lock = [
                &["lock", "/lock"],
                &options(&keytab)[..],
                &patient,
                &["--", "sh", "-c", script],
            ];
            let locked = zkctl(PROGRAM, &[], &hosts, &lock.concat());
            let said = String::from_utf8_lossy(&locked.stdout);
            assert_eq!(said, "MEMORY:none unset\n0\n", "{locked:?}");
        },
    );
}

#[test]
fn zkctl_explains_kerberos_failures() {
    play(
        "command_line::zkctl_explains_kerberos_failures",
        Tickets::Keytab,
        async |realm| {
            let keytab = app(&realm);
            realm.kdc.add("zookeeper/localhost", "1h");
            let run = |before: &[&str], program, arguments: &[&str]| {
                let arguments = [&["ls", "/", "--connect-timeout", "5s"], arguments].concat();
                let output = zkctl(program, before, "localhost:1", &arguments);
                (
                    output.status.code(),
                    String::from_utf8_lossy(&output.stderr).into_owned(),
                )
            };
            let plain = |arguments: &[&str]| run(&[], PROGRAM, arguments);
            let (code, said) = plain(&["--kerberos-keytab", "x"]);
            assert!(
                code == Some(2) && said.contains("need --kerberos"),
                "{said}"
            );
            let (code, said) = plain(&["--kerberos", "--kerberos-keytab", "/absent"]);
            assert!(code == Some(1) && said.contains("/absent"), "{said}");
            let service = ["--kerberos-service", "keeper"];
            let (_, said) = plain(&[&options(&keytab)[..], &service].concat());
            assert!(
                said.contains("keeper/localhost") && said.contains("not found"),
                "{said}"
            );
            let principal = ["--kerberos-principal", "absent@ZK.TEST"];
            let (_, said) = plain(&[&options(&keytab)[..], &principal].concat());
            assert!(said.contains("absent@ZK.TEST"), "{said}");
            let whole = ["--kerberos-server-principal", "zookeeper/other@ZK.TEST"];
            let (_, said) = plain(&[&options(&keytab)[..], &whole].concat());
            assert!(said.contains("zookeeper/other@ZK.TEST"), "{said}");
            let (_, said) = plain(&["--kerberos", "--kerberos-exact-host-names"]);
            assert!(said.contains("run `kinit`"), "{said}");
            // An hour away from the KDC.
            let (_, said) = run(&["-f", "+1h", PROGRAM], "faketime", &options(&keytab));
            assert!(
                said.contains("lock skew") && said.contains("set the clocks"),
                "{said}"
            );
        },
    );
}
