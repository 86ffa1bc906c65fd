use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> ConnectString {
    text.parse().unwrap()
}

#[test]
fn what_is_read_and_how_it_is_written() {
    for (text, expected) in [
        ("zk1", "zk1:2181"),
        ("zk1:2182", "zk1:2182"),
        ("zk1,zk2:2182 , 10.0.0.1", "zk1:2181,zk2:2182,10.0.0.1:2181"),
        (" zk1:1 ,zk1:1 ", "zk1:1,zk1:1"),
        ("[::1]:2182,[2001:db8::1]", "[::1]:2182,[2001:db8::1]:2181"),
        ("[fe80::1%eth0]:1", "[fe80::1%eth0]:1"),
        ("zk1/", "zk1:2181"),
        ("zk1,zk2/app/x", "zk1:2181,zk2:2181/app/x"),
        ("zk1,,zk2,", "zk1:2181,zk2:2181"),
        ("zk1:65535/a@b:c", "zk1:65535/a@b:c"),
        ("zk_1.example-x.com", "zk_1.example-x.com:2181"),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.to_string(), expected, "{text}");
        assert_eq!(parse(expected), parsed, "{text}");
    }
    assert_eq!(parse("a,b/c").chroot.as_str(), "/c");
    assert_eq!(parse("[::1]").hosts[0].host, "::1");
}

/// Guards: B13.
#[test]
fn errors_name_problem_and_position() {
    use ConnectStringProblem::*;
    for (text, position, problem) in [
        ("", 0, NoHost),
        ("  ", 2, NoHost),
        (",", 0, NoHost),
        ("/app", 0, NoHost),
        (":2181", 0, BadHost),
        ("zk 1", 2, Separator(' ')),
        ("zk1, z k", 6, Separator(' ')),
        ("zk1:2181 zk2:2181", 8, Separator(' ')),
        ("zk1\nzk2", 3, Separator('\n')),
        ("zk1:2181|zk2:2181", 8, Separator('|')),
        ("zk1:2181\\app", 8, Separator('\\')),
        ("[zk1]:1", 0, BadHost),
        ("[::1", 0, BadHost),
        ("[::1]x", 5, BadHost),
        ("[]", 0, BadHost),
        ("zk1:", 4, NoPort),
        ("zk1:,zk2", 4, NoPort),
        ("[::1]:", 6, NoPort),
        ("zk1:x", 4, BadPort),
        ("zk1:0", 4, BadPort),
        ("zk1:65536", 4, BadPort),
        ("zk1:-1", 4, BadPort),
        ("zk1:1:2", 4, BadPort),
        ("a:1, zk1: 2", 9, Separator(' ')),
        ("::1", 0, BareIpv6("[::1]:2181".to_owned())),
        ("fe80::1%eth0:1", 0, BareIpv6("[fe80::1%eth0]:1".to_owned())),
        (
            "2001:db8:0:0:0:0:0:1:2182",
            0,
            BareIpv6("[2001:db8:0:0:0:0:0:1]:2182".to_owned()),
        ),
        ("zk1,\u{201c}zk2\u{201d}", 4, Quote),
        ("zk1:2181?timeout=3", 8, Parameters),
        ("http:zk1:2181", 0, Scheme),
        ("zk1/app,zk2/app", 3, ChrootNotLast),
        ("zk1/app,zk2", 3, ChrootNotLast),
        ("zk1/app;zk2:2181/app", 3, ChrootNotLast),
        ("zk1/app zk2:2181", 3, ChrootNotLast),
        ("dns-srv://zk.example.com/app", 0, DnsSrv),
        ("zk://zk1", 0, Scheme),
    ] {
        let error = text.parse::<ConnectString>().unwrap_err();
        assert_eq!(error, ConnectStringError { position, problem }, "{text}");
    }
    let error = "zk1/app/".parse::<ConnectString>().unwrap_err();
    assert_eq!(error.position, 3);
    assert_eq!(
        error.to_string(),
        "connect string, byte 3: the chroot is not valid: it must not end with '/'"
    );
}

/// Guards: P25, P26, P28.
#[test]
fn errors_name_the_true_cause() {
    for (text, cause) in [
        (
            "zk1:2181/app,zk2:2181/app,zk3:2181/app",
            "once, after the last host",
        ),
        ("zk1:2181/a,zk2:2181/b", "once, after the last host"),
        ("zk1:2181;zk2:2181;zk3:2181", "separated by commas"),
        ("zk:zk1:2181,zk2:2181/q", "no scheme"),
        ("zk+hierarchical://zk1:2181;zk2:2181/l", "no scheme"),
        (
            "zk://user:hunter2@zk1:2181,zk2:2181/m",
            "credentials do not belong",
        ),
        ("zk://zk1:2181,zk2:2181/n", "no scheme"),
        ("zookeeper://zk1:2181?backup=zk2:2181,zk3:2181", "no scheme"),
        ("zk1:2181,zk2:2181/app/", "must not end with '/'"),
        (
            "2001:db8::1:2181",
            "write [2001:db8::1]:2181, or [2001:db8::1:2181]:2181 if",
        ),
        ("zk1:", "no port after the colon"),
        ("\"zk1:2181\"", "quotation mark"),
    ] {
        let error = text.parse::<ConnectTarget>().unwrap_err().to_string();
        assert!(error.contains(cause), "{text}: {error}");
    }
}

#[test]
fn forms_of_other_clients_are_accepted() {
    for (text, hosts, chroot) in [
        ("zk1:2181,zk2:2181,zk3:2181/app", 3, "/app"),
        ("zk1:2181, zk2:2181 , zk3:2181", 3, ""),
        ("zk1:2181,zk2:2181,", 2, ""),
        ("zk1,zk2,zk3:2182", 3, ""),
        ("my_zk_1:2181", 1, ""),
        ("[2001:db8::1]:2181,[fe80::1%eth0]:2181", 2, ""),
        ("zk1.example.:2181", 1, ""),
        (
            "ZK1.EXAMPLE:2181/Pr\u{e4}fix/a b%2Fc",
            1,
            "/Pr\u{e4}fix/a b%2Fc",
        ),
    ] {
        let parsed = parse(text);
        assert_eq!(
            (parsed.hosts.len(), parsed.chroot.as_str()),
            (hosts, chroot)
        );
    }
}

#[test]
fn a_service_stands_for_its_servers() {
    for (text, expected) in [
        (
            "dns-srv://_zk._tcp.example.com",
            "dns-srv://_zk._tcp.example.com",
        ),
        (
            " dns-srv://zk.example.com./app/x ",
            "dns-srv://zk.example.com./app/x",
        ),
        ("dns-srv://zk/", "dns-srv://zk"),
        ("zk1/app", "zk1:2181/app"),
    ] {
        let target: ConnectTarget = text.parse().unwrap();
        assert_eq!(target.to_string(), expected);
    }
    use ConnectStringProblem::*;
    for (text, position, problem) in [
        ("dns-srv://", 10, BadService),
        ("dns-srv:///app", 10, BadService),
        ("dns-srv://zk:2181", 10, BadService),
        ("dns-srv://a..b", 10, BadService),
        ("dns-srv://a,b", 10, BadService),
        ("dns-srv://bob:hunter2@zk", 10, Credentials),
        ("dns-srv:/zk", 0, BadService),
        ("dns-srv://zk/a,zk2/a", 12, ChrootNotLast),
    ] {
        let error = text.parse::<ConnectTarget>().unwrap_err();
        assert_eq!(error, ConnectStringError { position, problem }, "{text}");
    }
    let error = "dns-srv://zk/app/".parse::<ConnectTarget>().unwrap_err();
    assert_eq!(error.position, 12);
}

proptest! {
    /// Whichever text surrounds a password, no error repeats the password.
    ///
    /// Guards: B75, P27.
    #[test]
    fn no_error_repeats_a_password(
        before in "(zk|zk\\+x|dns-srv)?(:|://)?(zk0:2181,)?(/app,)?\"?",
        user in "[a-z]{0,3}[:/;, ]?",
        after in "[:/;, ]?[/.#?]?@?(zk1)?(:2181)?(,zk2:2181)?(/m|/m/|//|/\u{1})?\"?",
    ) {
        let text = format!("{before}{user}hunter2!{after}");
        let mut errors = Vec::new();
        if let Err(error) = text.parse::<ConnectTarget>() {
            errors.push(error);
        }
        if let Err(error) = text.parse::<ConnectString>() {
            errors.push(error);
        }
        for error in errors {
            prop_assert!(!format!("{error} {error:?}").contains("hunter2"), "{}", text);
        }
    }
}

/// Guards: P27.
#[test]
fn credentials_are_refused() {
    use ConnectStringProblem::*;
    for (text, position) in [
        ("bob:hunter2@zk1:2181", 0),
        ("zk0,bob:hunter2@zk1", 4),
        ("bob:7/x@zk1:2181", 5),
        ("bob:7/x,@zk1:2181", 5),
        ("zk://bob:hunter2@zk1:2181", 0),
        ("dns-srv://bob:hunter2@zk1", 10),
    ] {
        let error = text.parse::<ConnectTarget>().unwrap_err();
        let problem = Credentials;
        assert_eq!(error, ConnectStringError { position, problem }, "{text}");
    }
}
