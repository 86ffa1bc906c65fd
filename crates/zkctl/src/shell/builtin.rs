//! The commands of the shell itself.

/// A command that zkctl has in its shell only.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    /// Makes a znode the current one: the root unless given.
    Cd(String),
    Pwd,
    AddAuth {
        scheme: String,
        credential: String,
    },
    /// Opens a session: with the servers of the last one unless given.
    Connect(Option<String>),
    Close,
    History,
    Redo(usize),
    PrintWatches(Option<bool>),
    RemoveWatches(String),
    Help(Vec<String>),
    Quit,
}

/// The names, with what each does.
pub(super) const NAMES: [(&str, &str); 12] = [
    ("cd [PATH]", "make a znode the current one; - the last one"),
    ("pwd", "print the current znode"),
    ("addauth SCHEME CRED", "add credentials to the session"),
    ("connect [HOSTS]", "open a new session"),
    ("close", "end the session, and its ephemeral znodes"),
    (
        "addWatch [-m MODE] PATH",
        "print the changes while the shell continues, as watch PATH & does",
    ),
    ("removewatches PATH", "end these"),
    (
        "printwatches [on|off]",
        "whether changes are printed between the lines",
    ),
    ("history", "print the lines of this shell"),
    ("redo N", "run one of them again"),
    ("help [COMMAND]", "print this, or the help of a command"),
    ("quit", "end the shell, as Ctrl-D does"),
];

impl Builtin {
    /// The command with this name, if it is one of the shell's own.
    pub(super) fn parse(name: &str, arguments: &[String]) -> Option<Result<Self, String>> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let usage = |text: &str| Err(format!("usage: {text}"));
        let nothing = |builtin: Self, name: &str| match words.is_empty() {
            true => Ok(builtin),
            false => Err(format!("{name} takes no argument")),
        };
        Some(match name.to_ascii_lowercase().as_str() {
            "cd" => match words[..] {
                [] => Ok(Builtin::Cd("/".to_owned())),
                [path] => Ok(Builtin::Cd(path.to_owned())),
                _ => usage("cd [PATH]; quote a path with spaces"),
            },
            "pwd" => nothing(Builtin::Pwd, "pwd"),
            "addauth" => match words[..] {
                [scheme, credential] if !scheme.is_empty() && !credential.is_empty() => {
                    Ok(Builtin::AddAuth {
                        scheme: scheme.to_owned(),
                        credential: credential.to_owned(),
                    })
                }
                _ => usage("addauth SCHEME CREDENTIAL, as in addauth digest user:password"),
            },
            "connect" => match words[..] {
                [] => Ok(Builtin::Connect(None)),
                [hosts] => Ok(Builtin::Connect(Some(hosts.to_owned()))),
                _ => usage("connect [HOSTS], as in connect zk1:2181,zk2:2181"),
            },
            "close" => nothing(Builtin::Close, "close"),
            "history" => nothing(Builtin::History, "history"),
            "redo" => match words[..] {
                [number] => match number.parse() {
                    Ok(number) => Ok(Builtin::Redo(number)),
                    Err(_) => usage("redo N, a number that `history` prints"),
                },
                _ => usage("redo N, a number that `history` prints"),
            },
            "printwatches" => match words[..] {
                [] => Ok(Builtin::PrintWatches(None)),
                ["on"] => Ok(Builtin::PrintWatches(Some(true))),
                ["off"] => Ok(Builtin::PrintWatches(Some(false))),
                _ => usage("printwatches [on|off]"),
            },
            // zkCli has options for the kind of watch; here they end together.
            "removewatches" => match words.iter().find(|word| !word.starts_with('-')) {
                Some(path) => Ok(Builtin::RemoveWatches((*path).to_owned())),
                None => usage("removewatches PATH"),
            },
            "help" | "?" => Ok(Builtin::Help(arguments.to_vec())),
            "quit" | "exit" => nothing(Builtin::Quit, "quit"),
            "shell" => Err("this is the shell".to_owned()),
            _ => return None,
        })
    }

    /// The names, without arguments.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .filter_map(|(usage, _)| usage.split(' ').next())
            .chain(["exit"])
    }
}
