//! `man`: manual pages.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use clap_mangen::Man;

use super::text::{NAME, print};
use crate::cli::generated::Manual;
use crate::output::failure::Failure;

pub(super) fn write(args: &Manual, mut definition: clap::Command) -> Result<(), Failure> {
    definition.build();
    if let Some(dir) = &args.dir {
        return write_all(&definition, dir)
            .map_err(|error| Failure::io(&format!("write to {}", dir.display()), error));
    }
    let mut command = &definition;
    for name in &args.command {
        command = visible_commands(command)
            .find(|command| command.get_name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = visible_commands(command)
                    .map(clap::Command::get_name)
                    .collect();
                Failure::Usage(match names.is_empty() {
                    true => format!("{} has no command {name}", command.get_name()),
                    false => format!("{name} is none of {}", names.join(", ")),
                })
            })?;
    }
    let page = page(command).map_err(|error| Failure::io("make the page", error))?;
    print(&page)
}

/// The commands that have a page. `help` has none: it repeats the others.
fn visible_commands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// Writes the page of a command and those of the commands below it.
fn write_all(command: &clap::Command, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let name = command.get_display_name().unwrap_or(NAME);
    std::fs::write(dir.join(format!("{name}.1")), page(command)?)?;
    visible_commands(command).try_for_each(|command| write_all(command, dir))
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or(NAME);
    let is_main = name == NAME;
    // Without `help` among the commands, and with the options of all commands in one page only.
    let shown = command
        .clone()
        .mut_subcommands(|command| match command.get_name() {
            "help" => command.hide(true),
            _ => command,
        })
        .mut_args(|arg| match arg.is_global_set() && !is_main {
            true => arg.hide(true),
            false => arg,
        });
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let version = env!("CARGO_PKG_VERSION");
    let title = format!(".TH {} 1 \"\" \"zkctl {version}\"\n", name.to_uppercase());
    let man = Man::new(shown);
    let mut page = title.into_bytes();
    man.render_name_section(&mut page)?;
    page.extend(verbatim("SYNOPSIS", usage).into_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if visible_commands(command).next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    if let Some(text) = after {
        page.extend(verbatim("NOTES", &text.to_string()).into_bytes());
    }
    if !is_main {
        page.extend(SEE_ALSO);
    }
    Ok(page)
}

const SEE_ALSO: &[u8] = b".SH \"SEE ALSO\"
zkctl(1), also for the options that every command has: servers, time limits, credentials, output, TLS.
";

/// A section whose lines are kept, because they are tables. `Man` would fill them into a paragraph.
fn verbatim(heading: &str, text: &str) -> String {
    let mut section = format!(".SH {heading}\n.nf\n");
    for line in text.lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        let guard = match line.starts_with(['.', '\'']) {
            true => "\\&",
            false => "",
        };
        // Writing to a String does not fail.
        let _ = writeln!(section, "{guard}{line}");
    }
    section.push_str(".fi\n");
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbatim_lines_are_not_requests() {
        let section = verbatim("NOTES", "Codes:\n  0  done\n.x 'y'\n'z \\ -");
        assert_eq!(
            section,
            ".SH NOTES\n.nf\nCodes:\n  0  done\n\\&.x 'y'\n\\&'z \\e \\-\n.fi\n"
        );
    }
}
