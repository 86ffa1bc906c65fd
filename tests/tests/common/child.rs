//! A test's second process: the same binary, started again for the same test.
//!
//! ```ignore
//! if let Some(orders) = child::orders() {
//!     return work(orders); // we are the child
//! }
//! let mut child = Child::start(module_path!(), "the_tests_name", "orders");
//! ```

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use zk_tests::Wait;
use zk_tests::signal::{self, Signal};

const ORDERS: &str = "ZK_TESTS_CHILD";
/// Marks what the child says, among what the test harness prints.
const MARK: &str = "child: ";
/// Said before and after the output of a program.
const PROGRAM: &str = "program:";

/// What this process was started for, if it is a child.
pub fn orders() -> Option<String> {
    let orders = env::var(ORDERS).ok()?;
    thread::spawn(|| {
        for _ in io::stdin().lock().lines().map_while(Result::ok) {
            *continued() += 1;
            CONTINUES.notify_all();
        }
        // A child must not outlive a parent that was killed: its standard input ends with it.
        process::exit(0);
    });
    Some(orders)
}

/// Sends a line to the parent.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    // The harness prints "test name ... " without a newline first.
    writeln!(out, "\n{MARK}{line}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// In a child that was started with [`Child::start_program`]: what it says is all that the program prints.
pub async fn run_program<T>(program: impl Future<Output = T>) -> T {
    say(PROGRAM);
    let ended = program.await;
    say(PROGRAM);
    ended
}

/// SIGSTOP to ourselves: this returns when the parent says [`Child::go_on`], and not before.
///
/// The signal stops one thread and reaches the others a moment later; so this one waits for the
/// parent's word, too.
pub fn stop() {
    let before = *continued();
    signal::send(process::id(), Signal::Stop).unwrap();
    let waited = CONTINUES.wait_while(continued(), |times| *times == before);
    drop(waited.unwrap_or_else(PoisonError::into_inner));
}

/// How many times the parent has said [`Child::go_on`].
static CONTINUED: Mutex<u32> = Mutex::new(0);
static CONTINUES: Condvar = Condvar::new();

fn continued() -> MutexGuard<'static, u32> {
    CONTINUED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Another process that runs a test of this binary. It is killed when dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    said: Said,
    reader: Option<JoinHandle<()>>,
}

/// This binary, for one test. Its first module is the crate, which is no part of a test's name.
fn again(module: &str, test: &str, orders: &str) -> Command {
    let (_, module) = module.split_once("::").unwrap();
    let test = format!("{module}::{test}");
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(ORDERS, orders)
        .stdin(Stdio::piped());
    command
}

/// Whether this process was started for this one test. Otherwise runs the test in a process of its
/// own, and fails if it fails there.
pub fn is_alone(module: &str, test: &str) -> bool {
    if orders().is_some() {
        return true;
    }
    let mut process = again(module, test, "alone")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = process.stdin.take();
    // Not passed on: it looks like the results of this process.
    let output = process.wait_with_output().unwrap();
    drop(input);
    assert!(
        output.status.success(),
        "{test} has failed in a process of its own, {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    false
}

/// What a child has said, which outlives it. All of it is there once the [`Child`] is dropped.
#[derive(Clone, Debug, Default)]
pub struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    pub fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    /// Starts this binary again for this one test of a module, which finds `orders`.
    pub fn start(module: &str, test: &str, orders: &str) -> Self {
        Self::start_reading(module, test, orders, |line, _| {
            Some(line.strip_prefix(MARK)?.to_owned())
        })
    }

    /// The same; but what it says is all that it prints in [`run_program`], without empty lines.
    pub fn start_program(module: &str, test: &str, orders: &str) -> Self {
        Self::start_reading(module, test, orders, |line, is_running| {
            if line.strip_prefix(MARK) == Some(PROGRAM) {
                *is_running = !*is_running;
                return None;
            }
            Some(line).filter(|line| *is_running && !line.is_empty())
        })
    }

    fn start_reading(
        module: &str,
        test: &str,
        orders: &str,
        read: impl Fn(String, &mut bool) -> Option<String> + Send + 'static,
    ) -> Self {
        let mut process = again(module, test, orders)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Said::default();
        let output = process.stdout.take().unwrap();
        let reader = thread::spawn({
            let said = said.clone();
            move || {
                let mut is_running = false;
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Some(line) = read(line, &mut is_running) {
                        said.lock().push(line);
                    }
                }
            }
        });
        Child {
            process,
            said,
            reader: Some(reader),
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// All it has said.
    pub fn said(&self) -> Vec<String> {
        self.said.lines()
    }

    /// For a check of what it has said that does not depend on how the rest of the test ends.
    pub fn record(&self) -> Said {
        self.said.clone()
    }

    /// The rest of the first line that begins with `word`.
    pub fn word(&self, word: &str) -> Option<String> {
        let said = self.said();
        said.iter()
            .find_map(|line| line.strip_prefix(word))
            .map(|rest| rest.trim_start().to_owned())
    }

    /// Waits for a line that begins with `word` and returns the rest of it.
    pub async fn receive(&mut self, word: &str) -> String {
        let wait = Wait::begin(format!("the child to say {word:?}"));
        loop {
            // Asked before the lines are read, so that the last of them count.
            let ended = self.process.try_wait().unwrap();
            if let Some(rest) = self.word(word) {
                return rest;
            }
            let verdict = wait.verdict();
            assert!(
                ended.is_none() && verdict.is_none(),
                "the child does not say {word:?} ({ended:?}, {verdict:?}) but {:#?}",
                self.said().iter().rev().take(5).collect::<Vec<_>>()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it has ended by itself, and returns whether it was successful.
    pub async fn ended(&mut self) -> bool {
        let wait = Wait::begin("the child to end");
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                self.read_the_rest();
                return status.success();
            }
            let verdict = wait.verdict();
            assert!(verdict.is_none(), "{verdict:?}: {:#?}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.read_the_rest();
    }

    /// Of a process that has ended.
    fn read_the_rest(&mut self) {
        if let Some(reader) = self.reader.take() {
            // It has no reason to panic, and a drop must not.
            let _ = reader.join();
        }
    }

    /// Waits until every thread of it stands still.
    pub async fn stopped(&self) {
        let pid = self.pid();
        super::until("the child is stopped", || async move {
            signal::is_stopped(pid).unwrap_or(true)
        })
        .await;
    }

    /// SIGCONT, and a line that ends [`stop`].
    pub fn go_on(&mut self) {
        signal::send(self.pid(), Signal::Continue).unwrap();
        let mut input = self.process.stdin.as_ref().unwrap();
        input.write_all(b"\n").unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only for a process that has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.read_the_rest();
    }
}
