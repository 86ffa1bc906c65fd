//! The file of `reconfig --file`: the dynamic configuration of an ensemble.

use std::path::Path;

use zk_proto::config::Server;

use crate::output::failure::Failure;

/// The servers of a file such as `zoo.cfg.dynamic`, as `server.N=…`.
pub(crate) fn members(path: &Path) -> Result<Vec<String>, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(&format!("read {name}"), error))?;
    read(&text).map_err(|problem| Failure::Usage(format!("{name}, {problem}")))
}

fn read(text: &str) -> Result<Vec<String>, String> {
    let mut members = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        let is_ignored = line.is_empty() || line.starts_with(['#', '!']);
        // The version of the configuration that the file is from.
        if is_ignored || line.starts_with("version=") {
            continue;
        }
        if let Err(error) = line.parse::<Server>() {
            return Err(format!(
                "line {number}: {error}; the file has the lines `server.N=…` of a dynamic configuration, as \
                 `zkctl config` shows it"
            ));
        }
        members.push(line.to_owned());
    }
    match members.is_empty() {
        true => Err("which has no line `server.N=…`".to_owned()),
        false => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_configuration_is_read() {
        let one = "server.1=zk1:2888:3888:participant;2181";
        let two = "server.2=zk2:2888:3888:observer;0.0.0.0:2181";
        let file = format!("# comment\n{one}\r\n\n {two}\nversion=100000000\n");
        assert_eq!(read(&file), Ok(vec![one.to_owned(), two.to_owned()]));
        for (file, word) in [
            ("version=5\n", "no line"),
            ("server.1=zk1\n", "line 1"),
            ("\nclientPort=2181\n", "line 2"),
        ] {
            let problem = read(file).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
