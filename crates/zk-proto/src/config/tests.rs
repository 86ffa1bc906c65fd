use proptest::prelude::*;

use super::*;

const TEXT: &str = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n\
                    server.2=[::1]:2888:3888|zk2b:2889:3889:observer;[::]:2182\n\
                    server.3=zk3:2888:3888:participant;2183\n\
                    server.4=zk4:2888:3888:participant;10.0.0.4:2184\n\
                    server.5=zk5:2888:3888:participant\n\
                    group.1=1:2:3\n\
                    version=ffffffff00000001";

#[test]
fn a_configuration_is_written_as_read() {
    let config: EnsembleConfig = TEXT.parse().unwrap();
    assert_eq!(config.to_string(), TEXT);
    assert_eq!(config.version, Some(-4_294_967_295));
    assert_eq!(config.other, [("group.1".to_owned(), "1:2:3".to_owned())]);
    let two = &config.servers[1];
    assert_eq!(
        (two.id, two.role, two.addresses.len()),
        (2, Role::Observer, 2)
    );
    assert_eq!(two.addresses[0].host, "::1");
}

#[test]
fn wildcards_give_way_to_quorum_addresses() {
    let config: EnsembleConfig = TEXT.parse().unwrap();
    assert_eq!(
        config.connect_string().to_string(),
        "zk1:2181,[::1]:2182,zk3:2183,10.0.0.4:2184"
    );
}

#[test]
fn spaces_blank_lines_and_comments() {
    let text = "# made by hand\n\n server.1 = a:1:2:OBSERVER;3 \r\nversion = 10\n";
    let config: EnsembleConfig = text.parse().unwrap();
    assert_eq!(config.to_string(), "server.1=a:1:2:observer;3\nversion=10");
    assert_eq!(config.version, Some(16));
    assert_eq!("".parse(), Ok(EnsembleConfig::default()));
}

#[test]
fn errors_name_the_place_and_the_form() {
    use ConfigProblem::*;
    for (line, position, problem) in [
        ("server.1", 0, NoId),
        ("server.x=a:1:2", 0, NoId),
        ("zk1=a:1:2", 0, NoId),
        ("server.1=", 9, BadAddress),
        ("server.1=a:1", 9, BadAddress),
        ("server.1=a:1:2:leader", 9, BadAddress),
        ("server.1=a:0:2", 9, BadAddress),
        ("server.1=a b:1:2", 9, BadAddress),
        ("server.1=a:1:2|", 15, BadAddress),
        ("server.1=a:1:2;", 15, BadClientAddress),
        ("server.1=a:1:2;;", 16, BadClientAddress),
        ("server.1=a:1:2;3;", 17, BadClientAddress),
        ("server.1=a:1:2;b", 15, BadClientAddress),
        ("server.1=a:1:2;b:70000", 15, BadClientAddress),
        ("server.1=a:1:2;3;4;5", 19, TooManyParts),
        ("server.1=a:1:2:observer|b:1:2:participant", 24, MixedRoles),
    ] {
        let error = line.parse::<Server>().unwrap_err();
        assert_eq!(error, ConfigError { position, problem }, "{line}");
        assert!(error.to_string().contains("write server.ID="), "{error}");
        let config: EnsembleConfig = line.parse().unwrap();
        assert_eq!(config.servers.len(), 0, "{line}");
    }
}

/// Guards: P19.
#[test]
fn an_unreadable_line_costs_no_other() {
    let text = "server.1=zk1:2888:3888:participant;2181\n\
                server.2=zk2:2888:3888:participant;2181;2281;future=1\n\
                server.3=zk3:2888:3888:participant;2181\n\
                nonsense\n\
                version=xyz\n\
                version=1a00000002";
    let config: EnsembleConfig = text.parse().unwrap();
    assert_eq!(config.connect_string().to_string(), "zk1:2181,zk3:2181");
    assert_eq!(config.version, Some(0x1a_0000_0002));
    let unreadable: Vec<_> = config.unreadable.iter().map(ToString::to_string).collect();
    assert_eq!(
        unreadable[1..],
        [
            "line 4: \"nonsense\" is not key=value",
            "line 5: \"version=xyz\" is not version=, with a hexadecimal number of up to 64 bits",
        ]
    );
    assert_eq!(config.unreadable[0].line, 2);
    assert_eq!(config.to_string(), text);
}

/// Guards: P18.
#[test]
fn secure_client_ports() {
    let text = "server.1=zk1.example:2888:3888:participant;0.0.0.0:2181;0.0.0.0:2281\n\
                server.2=zk2.example:2888:3888:participant;;2281\n\
                server.3=zk3.example:2888:3888:observer;2181;2281\n\
                server.4=zk4.example:2888:3888:participant;10.0.0.4:2181;[2001:db8::4]:2281\n\
                server.5=zk5.example:2888:3888:participant;2181\n\
                version=100000000";
    let config: EnsembleConfig = text.parse().unwrap();
    assert_eq!(config.unreadable, []);
    assert_eq!(config.to_string(), text);
    assert_eq!(
        config.connect_string().to_string(),
        "zk1.example:2181,zk3.example:2181,10.0.0.4:2181,zk5.example:2181"
    );
    assert_eq!(
        config.secure_connect_string().to_string(),
        "zk1.example:2281,zk2.example:2281,zk3.example:2281,[2001:db8::4]:2281"
    );
}

/// Guards: P23.
#[test]
fn ipv6_addresses_without_brackets() {
    for (text, written) in [
        (
            "server.1=2001:db8:0:0:0:0:0:1:2888:3888:participant;0:0:0:0:0:0:0:0:2181",
            "server.1=[2001:db8:0:0:0:0:0:1]:2888:3888:participant;[0:0:0:0:0:0:0:0]:2181",
        ),
        (
            "server.1=2001:db8::1:2888:3888|fe80::1%eth0:1:2:observer;:::2181;2001:db8::1:2281",
            "server.1=[2001:db8::1]:2888:3888|[fe80::1%eth0]:1:2:observer;[::]:2181;\
             [2001:db8::1]:2281",
        ),
        ("server.1=::1:1:2", "server.1=[::1]:1:2:participant"),
    ] {
        let server: Server = text.parse().unwrap();
        assert_eq!(server.to_string(), written);
        assert_eq!(written.parse(), Ok(server));
    }
}

/// Guards: P20.
#[test]
fn a_wildcard_is_no_address_of_a_server() {
    for (text, expected) in [
        ("server.1=0.0.0.0:1:2;0.0.0.0:2181", None),
        ("server.1=[::]:1:2;2181", None),
        ("server.1=[::%eth0]:1:2;[::ffff:0.0.0.0]:2181", None),
        ("server.1=0.0.0.0:1:2|zk1:1:2;2181", Some("zk1:2181")),
        ("server.1=0.0.0.0:1:2;zk1:2181", Some("zk1:2181")),
        ("server.1=zk1:1:2", None),
    ] {
        let server: Server = text.parse().unwrap();
        let address = server.client_address().map(|address| address.to_string());
        assert_eq!(address.as_deref(), expected, "{text}");
    }
}

proptest! {
    /// Guards: P19.
    #[test]
    fn a_damaged_line_costs_at_most_itself(
        at in 0_usize..8,
        line in "\\PC{0,40}|(server|version|group)[.=0-9a-f:;|]{0,20}",
        inserted in any::<bool>(),
    ) {
        let whole: EnsembleConfig = TEXT.parse().unwrap();
        let mut lines: Vec<_> = TEXT.lines().collect();
        let at = at.min(lines.len() - 1);
        let damaged = if inserted { None } else { Some(lines.remove(at)) };
        lines.insert(at, &line);
        let config: EnsembleConfig = lines.join("\n").parse().unwrap();
        for server in &whole.servers {
            let lost = damaged == Some(server.to_string().as_str());
            prop_assert!(lost || config.servers.contains(server));
        }
        prop_assert!(config.unreadable.len() <= 1);
        let again: EnsembleConfig = config.to_string().parse().unwrap();
        prop_assert_eq!(again.to_string(), config.to_string());
    }
}
