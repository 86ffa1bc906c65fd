//! The process that becomes the command, once the watchdog knows it.
//!
//! zkctl starts itself as this process, whose standard input is a socket, and names it to the watchdog. Then
//! it sends the command's standard input through the socket, and the process becomes the command (`execve`).
//! The operating system closes the socket when zkctl ends in any way, and then the process ends: no command
//! runs that the watchdog does not know.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{self, ExitCode, Stdio};

use rustix::io::{FdFlags, fcntl_setfd, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::Command;

/// The first argument. The others are the command.
const SUBCOMMAND: &str = "__start";
/// What is sent with the standard input.
const GO: &[u8] = b"!";

/// A process that has not become the command yet. Dropping this value ends it.
pub(crate) struct Starter(Socket);

impl Starter {
    /// The process, to be spawned.
    pub(crate) fn new(command: &[OsString]) -> io::Result<(Self, Command)> {
        let (ours, theirs) = Socket::pair()?;
        let mut process = Command::new(this_program()?);
        process
            .arg0("zkctl")
            .arg(SUBCOMMAND)
            .args(command)
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        Ok((Starter(ours), process))
    }

    /// Begins the command, and returns the error if the system refuses to. `stdin` is the command's standard
    /// input.
    pub(crate) async fn begin(self, stdin: OwnedFd) -> io::Result<()> {
        let descriptors = [stdin.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let sent = retry_on_intr(|| {
            sendmsg(
                &self.0,
                &[IoSlice::new(GO)],
                &mut control,
                SendFlags::empty(),
            )
        });
        match sent {
            Ok(_) => {}
            // The process was killed, and its status says so.
            Err(rustix::io::Errno::PIPE) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.0.set_nonblocking(true)?;
        let mut answer = Vec::new();
        UnixStream::from_std(self.0)?
            .read_to_end(&mut answer)
            .await?;
        match <[u8; 4]>::try_from(answer) {
            Ok(number) => Err(io::Error::from_raw_os_error(i32::from_be_bytes(number))),
            // The command has begun, which closed the socket.
            Err(_) => Ok(()),
        }
    }
}

/// The standard input of the command: that of this process, or none.
pub(crate) fn stdin(is_inherited: bool) -> io::Result<OwnedFd> {
    match is_inherited {
        true => io::stdin().as_fd().try_clone_to_owned(),
        false => File::open("/dev/null").map(OwnedFd::from),
    }
}

/// This program, even if its file was replaced meanwhile, where the system can say that.
fn this_program() -> io::Result<PathBuf> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

/// The program of the process, if the arguments, with the name of the program, are those of one.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1).as_deref() != Some(OsStr::new(SUBCOMMAND)) {
        return None;
    }
    // An error means that zkctl has ended.
    let _ = become_command(arguments);
    Some(ExitCode::FAILURE)
}

/// Returns only if that fails, or if zkctl ends before.
fn become_command(mut command: impl Iterator<Item = OsString>) -> io::Result<()> {
    // Closed when the command begins, as standard input is replaced.
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let Some(stdin) = receive(&socket)? else {
        return Ok(());
    };
    fcntl_setfd(&stdin, FdFlags::CLOEXEC)?;
    let program = command.next().unwrap_or_default();
    let error = process::Command::new(program)
        .args(command)
        .stdin(Stdio::from(stdin))
        .exec();
    let number = error
        .raw_os_error()
        .unwrap_or_else(|| rustix::io::Errno::INVAL.raw_os_error());
    Socket::from(socket).write_all(&number.to_be_bytes())
}

/// The command's standard input; `None` at the end of zkctl.
fn receive(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0; GO.len()];
    let received = retry_on_intr(|| {
        let parts = &mut [IoSliceMut::new(&mut word)];
        recvmsg(socket, parts, &mut control, RecvFlags::empty())
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    Ok(control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    }))
}
