//! Completions, in the shells that are installed, and manual pages.

use std::process::{Command, Stdio};

use crate::common::{assert_fails, finish, text, zkctl};

fn printed(arguments: &[&str]) -> String {
    let output = finish(zkctl(arguments));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The output of a shell, or of another program; `None` if it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = match command.spawn() {
        Ok(child) => child.wait_with_output().unwrap(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{program}: {error}"),
    };
    assert_eq!(text(&output.stderr), "", "{program}");
    assert!(output.status.success(), "{program}");
    Some(text(&output.stdout))
}

/// A file with a script, which is deleted with the value.
struct Script(std::path::PathBuf);

impl Script {
    fn of(shell: &str) -> Self {
        let name = format!("zkctl-completions-{}-{shell}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, printed(&["completions", shell])).unwrap();
        Script(file)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // An error means that the test has failed for another reason.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let script = Script::of("bash");
    let complete = |words: &str, index: usize| {
        let program = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={index}; \
             _zkctl zkctl \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; \
             echo \"${{COMPREPLY[*]}}\"",
            script.path()
        );
        run("bash", &["--norc", "-c", &program])
    };
    let Some(commands) = complete("zkctl cre", 1) else {
        return;
    };
    assert_eq!(commands, "create\n");
    assert_eq!(complete("zkctl acl s", 2).unwrap(), "set\n");
    assert_eq!(complete("zkctl ls --lo", 2).unwrap(), "--long\n");
    let hidden = complete("zkctl __", 1).unwrap();
    assert!(!hidden.contains("watchdog"), "{hidden}");
}

#[test]
fn zsh_loads_the_completions() {
    let script = Script::of("zsh");
    let program = format!(
        "autoload -Uz compinit; compinit -u -D; source {}; whence -w _zkctl; echo $_comps[zkctl]",
        script.path()
    );
    if let Some(output) = run("zsh", &["-f", "-c", &program]) {
        assert_eq!(output, "_zkctl: function\n_zkctl\n");
    }
}

#[test]
fn fish_completes_commands_and_options() {
    let script = Script::of("fish");
    let complete = |line: &str| {
        let program = format!("source {}; complete -C '{line}'", script.path());
        run("fish", &["--no-config", "-c", &program])
    };
    let Some(commands) = complete("zkctl cre") else {
        return;
    };
    assert!(commands.starts_with("create\t"), "{commands}");
    let options = complete("zkctl ls --lo").unwrap();
    assert!(options.starts_with("--long\t"), "{options}");
}

#[test]
fn powershell_has_a_script() {
    let script = printed(&["completions", "powershell"]);
    assert!(script.contains("Register-ArgumentCompleter"), "{script}");
    assert!(script.contains("'zkctl;create'"));
}

/// groff reports what a page gets wrong on standard error.
#[test]
fn manual_pages_have_no_mistakes() {
    let dir = std::env::temp_dir().join(format!("zkctl-man-{}", std::process::id()));
    assert_eq!(printed(&["man", "--dir", dir.to_str().unwrap()]), "");
    let pages: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "zkctl.1",
        "zkctl-lock.1",
        "zkctl-acl-get.1",
        "zkctl-shell.1",
    ] {
        assert!(pages.iter().any(|page| page == name), "{name}: {pages:?}");
    }
    assert!(
        !pages
            .iter()
            .any(|page| page.contains("watchdog") || page.contains("help"))
    );
    let paths: Vec<_> = pages.iter().map(|page| dir.join(page)).collect();
    let mut arguments = vec!["-man", "-ww", "-z", "-Tutf8"];
    arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
    if let Some(output) = run("groff", &arguments) {
        assert_eq!(output, "");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_manual_page_shows_the_command() {
    let page = printed(&["man", "acl", "get"]);
    assert!(page.contains("zkctl\\-acl\\-get"), "{page}");
    let page = printed(&["man", "lock"]);
    for word in [
        ".SH SYNOPSIS",
        "zkctl lock [OPTIONS] <PATH>",
        "no\\-wait",
        "125",
        ".SH \"SEE ALSO\"",
    ] {
        assert!(page.contains(word), "no {word:?} in {page}");
    }
    assert!(!page.contains("max\\-reply\\-bytes"), "{page}");
    let page = printed(&["man"]);
    for word in [
        "max\\-reply\\-bytes",
        "ZK_SERVER",
        "zkctl\\-create(1)",
        "Exit codes:",
    ] {
        assert!(page.contains(word), "no {word:?} in {page}");
    }
    assert_fails(&["man", "frobnicate"], 2, &["frobnicate is none of ls"]);
    assert_fails(&["man", "ls", "x"], 2, &["ls has no command x"]);
    assert_fails(&["completions", "tcsh"], 2, &["bash", "powershell"]);
}
