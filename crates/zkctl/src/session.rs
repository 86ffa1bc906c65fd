//! The session of a command: how its client is configured, and how it ends.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use zk_client::{Client, ClientBuilder};

use crate::cli::Command;
use crate::cli::class::Effect;
use crate::cli::credentials::Credential;
use crate::cli::global::Global;
use crate::cli::servers::Servers;
use crate::commands::guarded::wait::Wait;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::signals::Signals;

/// How long to wait for the end of a session that no other client waits for.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to try to open a session unless --connect-timeout is given.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The output of a future; `None` if it takes longer than `limit`.
pub(crate) async fn in_time<T>(
    limit: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// The configuration of the command's client.
pub(crate) fn builder(
    servers: &Servers,
    global: &Global,
    credentials: Vec<Credential>,
    command: &Command,
    wait: Wait,
) -> Result<ClientBuilder, Failure> {
    let connect_timeout = wait.connect_timeout(global.connect_timeout, CONNECT_TIMEOUT);
    let mut builder = servers
        .builder()
        .session_timeout(global.session_timeout())
        .connect_timeout(connect_timeout)
        .close_timeout(global.close_timeout.unwrap_or(connect_timeout))
        .deadline(global.timeout());
    if let Some(bytes) = global.max_reply_bytes {
        builder = builder.max_reply_bytes(bytes);
    }
    if let Some(bytes) = global.max_request_bytes {
        builder = builder.max_request_bytes(bytes);
    }
    for (scheme, secret) in credentials {
        builder = builder.auth(scheme, secret);
    }
    let builder = global
        .security
        .apply(builder, &global.server, &global.references)?;
    let reads = command.class().effect == Effect::Reads;
    Ok(builder.read_only(global.read_only && reads))
}

/// Ends the session, so that its ephemeral znodes do not outlive this process. `limit` is how long that may
/// take, if it is given.
pub(crate) async fn close(
    client: Client,
    limit: Option<Duration>,
    others_wait: bool,
    signals: &mut Signals,
    notices: &Notices,
) {
    let session = client.session();
    let connected = client.state().is_connected();
    if session.id.is_none() || (!connected && !others_wait) {
        return;
    }
    let timeout = limit.unwrap_or(if others_wait {
        session.timeout
    } else {
        CLOSE_TIMEOUT
    });
    let closed = tokio::select! {
        biased;
        _ = signals.next() => false,
        closed = tokio::time::timeout(timeout, client.close()) => matches!(closed, Ok(Ok(()))),
    };
    if !closed && others_wait {
        notices.say(format_args!(
            "session {} could not be closed; its ephemeral znodes stay until it expires, in {} s at \
             most",
            session.id,
            session.timeout.as_secs_f32().ceil()
        ));
    }
}

/// Writes what the output holds, also after a failure: it may hold results from before it.
pub(crate) async fn flushed(
    done: Result<ExitCode, Failure>,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    if !matches!(done, Ok(_) | Err(Failure::Failed(_) | Failure::Reported)) {
        return done;
    }
    tokio::select! {
        biased;
        signal = signals.next() => Err(Failure::Signalled(signal)),
        flushed = output.flush() => match (done, Failure::unless_reader_gone(flushed)) {
            (Ok(_), Err(failure)) => Err(failure),
            (done, _) => done,
        },
    }
}
