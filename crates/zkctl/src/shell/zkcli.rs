//! zkCli's commands, in words of zkctl: so that runbooks written for zkCli work.
//!
//! Commands that both have keep their name; zkCli's options for them are replaced where zkctl calls them otherwise.

use clap::Command;
use zk_client::SessionId;

use super::builtin::Builtin;
use super::definition::{Found, find, positionals};

/// What a statement does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A command of zkctl.
    Run {
        words: Vec<String>,
        background: bool,
    },
    /// A command of the shell itself.
    Own(Builtin),
}

/// zkCli's commands that zkctl has by another name.
pub(super) const NAMES: [&str; 11] = [
    "addWatch",
    "deleteall",
    "delquota",
    "getAcl",
    "getAllChildrenNumber",
    "getEphemerals",
    "listquota",
    "ls2",
    "rmr",
    "setAcl",
    "setquota",
];

/// The steps of a statement. `session` is the shell's: zkCli's `getEphemerals` lists the znodes of its own.
///
/// # Errors
/// The command is the shell's own, and its arguments are wrong. zkctl's commands are checked when they are run.
pub(super) fn steps(
    words: &[String],
    background: bool,
    session: SessionId,
    definition: &Command,
) -> Result<Vec<Step>, String> {
    let Some((name, arguments)) = words.split_first() else {
        return Ok(Vec::new());
    };
    if let Some(own) = Builtin::parse(name, arguments) {
        return Ok(vec![Step::Own(own?)]);
    }
    // zkctl's name first: `getacl` is no command of it, and `get` is.
    let name = match find(definition, std::slice::from_ref(name)) {
        Some(_) => name.as_str(),
        None => NAMES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name))
            .unwrap_or(name),
    };
    let watches = name == "addWatch";
    let translated = Translation {
        definition,
        session,
        stat: false,
    }
    .command(name, arguments)?;
    let steps = translated.into_iter().map(|words| Step::Run {
        words,
        background: background || watches,
    });
    Ok(steps.collect())
}

struct Translation<'a> {
    definition: &'a Command,
    session: SessionId,
    /// Whether `stat` has to follow: the command has zkCli's `-s`, which zkctl's lacks.
    stat: bool,
}

impl Translation<'_> {
    /// The commands that do what one of zkCli does.
    fn command(mut self, name: &str, arguments: &[String]) -> Result<Vec<Vec<String>>, String> {
        let command = match name {
            "ls" | "ls2" => {
                self.stat = name == "ls2";
                let arguments = clusters(arguments, "swR");
                self.renamed(&["ls"], &arguments, &[("-s", Place::Stat)])
            }
            "get" => self.renamed(
                &["get"],
                &clusters(arguments, "swbx"),
                &[("-s", Place::Name("-l"))],
            ),
            "config" => self.renamed(
                &["config"],
                &clusters(arguments, "swc"),
                &[("-s", Place::Name("-l"))],
            ),
            "getAcl" => self.renamed(&["acl", "get"], arguments, &[("-s", Place::Name("-l"))]),
            "set" => self.renamed(
                &["set"],
                arguments,
                &[("-s", Place::Stat), ("-v", Place::Name("--version"))],
            ),
            "setAcl" => self.renamed(
                &["acl", "set"],
                arguments,
                &[("-s", Place::Stat), ("-v", Place::Name("--version"))],
            ),
            "delete" => {
                if let [path, version] = arguments
                    && !path.starts_with('-')
                    && version.parse::<i32>().is_ok()
                {
                    return Err(format!(
                        "{version} is a version to zkCli and a znode to zkctl: `delete -v {version} {path}`, or \
                         `delete {path} ./{version}`"
                    ));
                }
                self.renamed(&["delete"], arguments, &[("-v", Place::Name("--version"))])
            }
            "deleteall" | "rmr" => {
                self.renamed(&["delete", "-r"], arguments, &[("-b", Place::Drop)])
            }
            "create" => self.create(arguments),
            "setquota" => self.renamed(&["quota", "set"], arguments, &[]),
            "listquota" => self.renamed(&["quota", "get"], arguments, &[]),
            "delquota" => self.renamed(&["quota", "delete"], arguments, &[]),
            "getAllChildrenNumber" => self.renamed(&["count"], arguments, &[]),
            "getEphemerals" => {
                let owner = self.session.to_string();
                self.renamed(&["ephemerals", "--owner", &owner], arguments, &[])
            }
            "addWatch" => add_watch(arguments)?,
            "reconfig" => reconfig(arguments),
            _ => self.renamed(&[name], arguments, &[]),
        };
        let stat = self.stat.then(|| self.stat_of(&command));
        Ok([command].into_iter().chain(stat).collect())
    }

    /// The words with other names in place of zkCli's options.
    fn renamed(
        &mut self,
        name: &[&str],
        arguments: &[String],
        options: &[(&str, Place)],
    ) -> Vec<String> {
        let mut words: Vec<String> = name.iter().map(|&word| word.to_owned()).collect();
        let mut arguments = arguments.iter();
        while let Some(word) = arguments.next() {
            match options.iter().find(|(option, _)| option == word) {
                _ if word == "--" => {
                    words.push(word.clone());
                    break;
                }
                Some((_, Place::Name(name))) => words.push((*name).to_owned()),
                Some((_, Place::Stat)) => self.stat = true,
                Some((_, Place::Drop)) => {
                    // With its value.
                    arguments.next();
                }
                None => words.push(word.clone()),
            }
        }
        words.extend(arguments.cloned());
        words
    }

    /// `create`: the time to live is a number of milliseconds, and the third argument is the ACL.
    fn create(&mut self, arguments: &[String]) -> Vec<String> {
        let mut arguments = clusters(arguments, "sec");
        let mut milliseconds = false;
        for word in &mut arguments {
            if milliseconds && word.bytes().all(|byte| byte.is_ascii_digit()) {
                word.push_str("ms");
            }
            milliseconds = word == "-t";
        }
        let mut words = self.renamed(&["create"], &arguments, &[("-t", Place::Name("--ttl"))]);
        let acl = find(self.definition, &words).and_then(|found| positionals(&found).nth(2));
        if let Some((index, _)) = acl {
            words.insert(index, "--acl".to_owned());
        }
        words
    }

    /// `stat` of the znode that a command is about.
    fn stat_of(&self, command: &[String]) -> Vec<String> {
        let path = find(self.definition, command)
            .and_then(|found: Found<'_>| positionals(&found).next())
            .map_or(".", |(_, path)| path);
        ["stat", "--", path].map(str::to_owned).to_vec()
    }
}

/// What becomes of an option of zkCli.
enum Place {
    Name(&'static str),
    /// `stat` follows the command.
    Stat,
    /// The option and its value have no meaning.
    Drop,
}

/// Single letters in place of several after one dash, as in `-sw`.
fn clusters(arguments: &[String], letters: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in arguments {
        match word.strip_prefix('-') {
            Some(cluster) if cluster.len() > 1 && cluster.chars().all(|c| letters.contains(c)) => {
                words.extend(cluster.chars().map(|letter| format!("-{letter}")));
            }
            _ => words.push(word.clone()),
        }
    }
    words
}

/// `addWatch [-m MODE] PATH`: in the background, and without a mode of everything below as well.
fn add_watch(arguments: &[String]) -> Result<Vec<String>, String> {
    let mut words = vec!["watch".to_owned()];
    let mut recursive = true;
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        if word != "-m" {
            words.push(word.clone());
            continue;
        }
        recursive = match arguments.next().map(|mode| mode.to_uppercase()).as_deref() {
            Some("PERSISTENT") => false,
            Some("PERSISTENT_RECURSIVE") => true,
            _ => return Err("-m is PERSISTENT or PERSISTENT_RECURSIVE".to_owned()),
        };
    }
    if recursive {
        words.insert(1, "-r".to_owned());
    }
    Ok(words)
}

/// `reconfig`: lists of servers are separated by commas.
fn reconfig(arguments: &[String]) -> Vec<String> {
    let mut words = vec!["reconfig".to_owned()];
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        let option = match word.as_str() {
            "-add" => "--join",
            "-remove" => "--leave",
            "-members" => "--member",
            "-file" => "--file",
            "-v" => "--from-version",
            "-s" => "-l",
            _ => {
                words.push(word.clone());
                continue;
            }
        };
        if option == "-l" {
            words.push(option.to_owned());
            continue;
        }
        let Some(value) = arguments.next() else {
            words.push(option.to_owned());
            break;
        };
        let is_list = matches!(option, "--join" | "--leave" | "--member");
        let values: Vec<_> = match is_list {
            true => value.split(',').collect(),
            false => vec![value.as_str()],
        };
        for value in values {
            words.extend([option.to_owned(), value.to_owned()]);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;
    use crate::cli::words::words;

    fn definition() -> Command {
        // As in a shell: paths may be relative.
        crate::cli::current::enter("/");
        let mut definition = Cli::command();
        definition.build();
        definition
    }

    /// The lines of zkctl that a line of zkCli means. A `&` follows one that runs in the background.
    fn lines(line: &str) -> Vec<String> {
        let definition = definition();
        let steps = steps(&words(line).unwrap(), false, SessionId(0x1f), &definition).unwrap();
        let line = |step| match step {
            Step::Run { words, background } => {
                // All of them are lines that zkctl accepts.
                let arguments = ["zkctl"]
                    .into_iter()
                    .chain(words.iter().map(String::as_str));
                if let Err(error) = definition.clone().try_get_matches_from(arguments) {
                    panic!("{error}");
                }
                let mut line = words.join(" ");
                if background {
                    line.push_str(" &");
                }
                line
            }
            Step::Own(own) => format!("{own:?}"),
        };
        steps.into_iter().map(line).collect()
    }

    #[test]
    fn zkcli_lines_mean_what_they_did() {
        for (line, expected) in [
            ("ls /a", &["ls /a"][..]),
            ("ls -R /a", &["ls -R /a"]),
            ("ls -w /a", &["ls -w /a"]),
            ("ls -s /a", &["ls /a", "stat -- /a"]),
            ("ls -sw /a", &["ls -w /a", "stat -- /a"]),
            ("ls -s", &["ls", "stat -- ."]),
            ("ls2 /a", &["ls /a", "stat -- /a"]),
            ("get -s -w /a", &["get -l -w /a"]),
            ("get -sw /a", &["get -l -w /a"]),
            ("get -b /a", &["get -b /a"]),
            ("stat -w /a", &["stat -w /a"]),
            ("set -v 3 /a x", &["set --version 3 /a x"]),
            ("set -s /a x", &["set /a x", "stat -- /a"]),
            ("set /a -5", &["set /a -5"]),
            ("create /a", &["create /a"]),
            ("create -s -e /a x", &["create -s -e /a x"]),
            ("create -se /a x", &["create -s -e /a x"]),
            ("create -c /a", &["create -c /a"]),
            ("create -t 500 /a x", &["create --ttl 500ms /a x"]),
            (
                "create -e /a x world:anyone:r",
                &["create -e /a x --acl world:anyone:r"],
            ),
            (
                "create -t 9 /a -1 world:anyone:r",
                &["create --ttl 9ms /a -1 --acl world:anyone:r"],
            ),
            ("delete -v 2 /a", &["delete --version 2 /a"]),
            ("deleteall /a", &["delete -r /a"]),
            ("deleteall /a -b 100", &["delete -r /a"]),
            ("rmr /a", &["delete -r /a"]),
            ("getAcl -s /a", &["acl get -l /a"]),
            ("getacl /a", &["acl get /a"]),
            (
                "setAcl -R /a world:anyone:r",
                &["acl set -R /a world:anyone:r"],
            ),
            (
                "setAcl -s -v 1 /a world:anyone:r",
                &["acl set --version 1 /a world:anyone:r", "stat -- /a"],
            ),
            ("sync /a", &["sync /a"]),
            ("config -s -c", &["config -l -c"]),
            (
                "reconfig -remove 3,4 -add server.5=z5:1:2;3",
                &["reconfig --leave 3 --leave 4 --join server.5=z5:1:2;3"],
            ),
            (
                "reconfig -s -v 1f -file /f",
                &["reconfig -l --from-version 1f --file /f"],
            ),
            (
                "reconfig -members server.1=z1:1:2;3,server.2=z2:1:2;3",
                &["reconfig --member server.1=z1:1:2;3 --member server.2=z2:1:2;3"],
            ),
            ("getEphemerals", &["ephemerals --owner 0x1f"]),
            ("getEphemerals /a", &["ephemerals --owner 0x1f /a"]),
            ("getAllChildrenNumber /a", &["count /a"]),
            ("setquota -n 5 /a", &["quota set -n 5 /a"]),
            ("setquota -B 5 /a", &["quota set -B 5 /a"]),
            ("listquota /a", &["quota get /a"]),
            ("delquota -n /a", &["quota delete -n /a"]),
            ("whoami", &["whoami"]),
            ("version", &["version"]),
            ("addWatch /a", &["watch -r /a &"]),
            ("addWatch -m PERSISTENT /a", &["watch /a &"]),
            ("addWatch -m persistent_recursive /a", &["watch -r /a &"]),
        ] {
            assert_eq!(lines(line), expected, "{line}");
        }
    }

    #[test]
    fn zkctl_lines_stay_as_they_are() {
        for line in [
            "ls -l -w /a",
            "get --gzip /a",
            "create -s -p --ttl 5s /a x --acl world:anyone:r",
            "set /a x --version 3",
            "delete /a /b -r",
            "acl get /a",
            "-o json get /a",
            "watch -r /a /b",
            "txn /etc/ops",
            "health",
            "ls -- -s",
        ] {
            assert_eq!(lines(line), [line], "{line}");
        }
    }

    #[test]
    fn the_shell_has_commands_of_its_own() {
        for (line, expected) in [
            ("cd", "Cd(\"/\")"),
            ("cd ..", "Cd(\"..\")"),
            ("connect zk1", "Connect(Some(\"zk1\"))"),
            ("redo 3", "Redo(3)"),
            ("printwatches off", "PrintWatches(Some(false))"),
            ("removewatches /a -d", "RemoveWatches(\"/a\")"),
            ("quit", "Quit"),
            ("exit", "Quit"),
        ] {
            assert_eq!(lines(line), [expected], "{line}");
        }
        for line in [
            "cd a b",
            "addauth digest",
            "redo x",
            "removewatches",
            "addWatch -m x /a",
            "shell",
        ] {
            let problem = steps(&words(line).unwrap(), false, SessionId(1), &definition());
            let problem = problem.unwrap_err();
            assert!(!problem.is_empty(), "{line}");
        }
    }
}
