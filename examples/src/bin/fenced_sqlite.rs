//! Writes to a database that a holder of a lock can no longer make once the lock has a later holder.
//!
//! Start `zkctl serve` in one terminal and this program in two others. The second waits until the first has
//! released the lock, by writing or with the end of its session. To see the latter, suspend the first one
//! for 20 s:
//!
//! ```console
//! $ cargo run --manifest-path examples/Cargo.toml --bin fenced_sqlite -- localhost:2181 /tmp/account.db
//! token 5: the balance is 0; press Enter to add 1
//! ^Z
//! $ sleep 20; fg
//! refused: token 5 is older than that of the last write
//! $ cargo run --manifest-path examples/Cargo.toml --bin fenced_sqlite -- localhost:2181 /tmp/account.db
//! token 9: the balance is 0; press Enter to add 1
//! token 9: the balance is 1 now
//! ```
//!
//! The row has a column for the greatest token that has written it, and each write compares. So the check is
//! part of the write, and no pause between them is possible. The same works with any database.

use std::error::Error;
use std::io::stdin;
use std::time::Duration;

use rusqlite::Connection;
use zk_client::Client;
use zk_recipes::{Lock, Token};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let file = arguments.next().unwrap_or("/tmp/account.db".to_owned());
    let zk = Client::builder(servers.as_deref().unwrap_or("localhost:2181"))
        .session_timeout(Duration::from_secs(10))
        .connect()
        .await?;

    let guard = Lock::new(&zk, "/example/account").acquire().await?;
    let token = guard.token();
    // What blocks runs elsewhere, and continues even if the lock is lost: only the token protects it.
    let work = tokio::task::spawn_blocking(move || add_one(&file, token));
    match work.await?? {
        Some(balance) => println!("token {token}: the balance is {balance} now"),
        None => println!("refused: token {token} is older than that of the last write"),
    }
    // Without effect on a lock that is lost.
    guard.release().await?;
    zk.close().await?;
    Ok(())
}

/// The new balance; `None` if a later holder of the lock has written.
fn add_one(file: &str, token: Token) -> Result<Option<i64>, Box<dyn Error + Send + Sync>> {
    let database = Connection::open(file)?;
    database.busy_timeout(Duration::from_secs(5))?;
    database.execute_batch(
        "CREATE TABLE IF NOT EXISTS account (
             id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, token INTEGER NOT NULL
         );
         INSERT OR IGNORE INTO account VALUES (1, 0, 0);",
    )?;
    let read = "SELECT balance FROM account WHERE id = 1";
    let balance: i64 = database.query_row(read, [], |row| row.get(0))?;
    println!("token {token}: the balance is {balance}; press Enter to add 1");
    stdin().read_line(&mut String::new())?;

    let write = "UPDATE account SET balance = ?1, token = ?2 WHERE id = 1 AND token <= ?2";
    let written = database.execute(write, [balance + 1, token.get()])?;
    Ok((written == 1).then_some(balance + 1))
}
