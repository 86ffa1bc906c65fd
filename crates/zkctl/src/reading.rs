//! What a command reads before it has a session: data from files, standard input, a prompt.

use zk_client::path;

use crate::cli::acl::AclCommand;
use crate::cli::znode::Create;
use crate::cli::{Command, credentials, ensemble_file, input, prompt};
use crate::output::failure::Failure;

/// Reads what the command line does not hold, and checks what clap does not. Returns the data of `set` and `create`.
pub(crate) fn data(command: &mut Command, limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    Ok(match command {
        Command::Set(set) => input::implicit_data(set.data.take(), &set.given, limit)?,
        Command::Create(create) => {
            check_path(create)?;
            if let Some(acl) = &create.acl {
                credentials::read_acl("--acl", acl)?;
            }
            input::data(create.data.take(), &create.given, limit)?
        }
        Command::Acl(AclCommand::Set(set)) => {
            credentials::read_acl("ACL", &set.acl)?;
            Vec::new()
        }
        Command::Digest(digest) => {
            digest.password = prompt::new_password(&digest.user)?;
            Vec::new()
        }
        Command::Txn(txn) => {
            txn.read(limit)?;
            Vec::new()
        }
        Command::Reconfig(reconfig) => {
            if let Some(file) = &reconfig.file {
                reconfig.member = ensemble_file::members(file)?;
            }
            Vec::new()
        }
        _ => Vec::new(),
    })
}

fn check_path(create: &Create) -> Result<(), Failure> {
    let valid = if create.sequential {
        path::validate_sequential(&create.path)
    } else {
        path::validate(&create.path)
    };
    valid.map_err(|error| Failure::Usage(error.to_string()))
}
