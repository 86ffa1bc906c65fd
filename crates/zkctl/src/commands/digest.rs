//! `digest`: the id of a user with a password, in ACLs.

use std::process::ExitCode;

use serde_json::json;
use zk_client::digest_id;

use crate::cli::acl::Digest;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::terminal::visible_line;

pub(crate) async fn digest(args: &Digest, output: &mut Output) -> Result<ExitCode, Failure> {
    let id = digest_id(&args.user, &args.password);
    if output.is_json() {
        output
            .json(&json!({ "scheme": "digest", "id": id }))
            .await?;
    } else {
        output
            .line(format_args!("digest:{}", visible_line(&id)))
            .await?;
    }
    output.flush().await?;
    Ok(ExitCode::SUCCESS)
}
