//! What a server has written to its transaction log: the judge of what took effect.
//!
//! The format is Apache's `FileTxnLog`: a header of 16 bytes, then for each transaction a checksum,
//! a length, that many bytes and a `B`; the file is filled up with zeros in advance.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

const MAGIC: &[u8; 4] = b"ZKLG";
/// Checksum, version and database id say nothing that is needed here.
const FILE_HEADER_REST: usize = 12;
const END_OF_RECORD: u8 = b'B';
/// More than any server of a test accepts.
const LONGEST: usize = 64 << 20;

/// A transaction that a server has logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// Its place in the order of all.
    pub zxid: i64,
    /// Whose it is.
    pub session: i64,
    /// What it does, in order. One that was refused does nothing.
    pub changes: Vec<Change>,
}

/// What a transaction does to one znode, or to its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A znode was created, with these data.
    Created {
        /// Its whole path.
        path: String,
        /// Its data; null is empty.
        data: Vec<u8>,
    },
    /// A znode was given these data.
    Set {
        /// Its whole path.
        path: String,
        /// Its data; null is empty.
        data: Vec<u8>,
        /// The version that it then has.
        version: i32,
    },
    /// A znode was deleted.
    Deleted {
        /// Its whole path.
        path: String,
    },
    /// The session ended, and its ephemeral znodes with it.
    SessionClosed,
}

/// All transactions in the log files of a server's data directory (`version-2`), in their order.
///
/// A server that was killed may have left the last record of a file unfinished; it was not
/// acknowledged, and is left out.
///
/// # Errors
///
/// If a file cannot be read, or is not what such a file is.
pub fn read_all(directory: &Path) -> io::Result<Vec<Txn>> {
    let mut txns = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("log.") {
            read_file(&path, &mut txns)?;
        }
    }
    txns.sort_by_key(|txn| txn.zxid);
    Ok(txns)
}

fn read_file(path: &Path, txns: &mut Vec<Txn>) -> io::Result<()> {
    let mut input = BufReader::new(File::open(path)?);
    let mut magic = [0; 4];
    let mut rest = [0; FILE_HEADER_REST];
    // A server killed just after it made the file.
    if read_or_end(&mut input, &mut magic)?.is_none() || magic == [0; 4] {
        return Ok(());
    }
    if &magic != MAGIC {
        return Err(malformed("it does not begin as a transaction log"));
    }
    if read_or_end(&mut input, &mut rest)?.is_none() {
        return Ok(());
    }
    while let Some(record) = next_record(&mut input)? {
        txns.push(Fields(&record).txn()?);
    }
    Ok(())
}

/// The next finished record.
fn next_record(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0; 12];
    if read_or_end(input, &mut prefix)?.is_none() {
        return Ok(None);
    }
    let [.., a, b, c, d] = prefix;
    let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).unwrap_or_default();
    if length == 0 {
        return Ok(None);
    }
    if length > LONGEST {
        return Err(malformed("a record is longer than a server accepts"));
    }
    let mut record = vec![0; length];
    let mut end = [0];
    if read_or_end(input, &mut record)?.is_none() || read_or_end(input, &mut end)?.is_none() {
        return Ok(None);
    }
    Ok((end == [END_OF_RECORD]).then_some(record))
}

/// Fills `buffer`, or says that the input ends before it is full.
fn read_or_end(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<()>> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The bytes of a record that have not been read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn txn(mut self) -> io::Result<Txn> {
        let session = self.long()?;
        let _cxid = self.int()?;
        let zxid = self.long()?;
        let _time = self.long()?;
        let kind = self.int()?;
        let mut changes = Vec::new();
        self.changes(kind, &mut changes)?;
        Ok(Txn {
            zxid,
            session,
            changes,
        })
    }

    /// What a record of this type does. A digest may follow the record, and is not read.
    fn changes(&mut self, kind: i32, changes: &mut Vec<Change>) -> io::Result<()> {
        match kind {
            // create, create2, createContainer, createTTL
            1 | 15 | 19 | 21 => changes.push(Change::Created {
                path: self.text()?,
                data: self.buffer()?.to_vec(),
            }),
            // delete, deleteContainer
            2 | 20 => changes.push(Change::Deleted { path: self.text()? }),
            5 => changes.push(Change::Set {
                path: self.text()?,
                data: self.buffer()?.to_vec(),
                version: self.int()?,
            }),
            14 => {
                let count = self.int()?;
                let mut done = Vec::new();
                let mut refused = false;
                for _ in 0..count {
                    let kind = self.int()?;
                    let record = self.buffer()?;
                    refused |= kind == -1;
                    Fields(record).changes(kind, &mut done)?;
                }
                if !refused {
                    changes.append(&mut done);
                }
            }
            -11 => changes.push(Change::SessionClosed),
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| malformed("a record ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(i32::from_be_bytes(bytes))
    }

    fn long(&mut self) -> io::Result<i64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(i64::from_be_bytes(bytes))
    }

    fn buffer(&mut self) -> io::Result<&'a [u8]> {
        // Null has the length -1.
        let length = usize::try_from(self.int()?).unwrap_or_default();
        self.take(length)
    }

    fn text(&mut self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(self.buffer()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Vec<u8> {
        let mut out = i32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        out.extend(bytes);
        out
    }

    fn header(zxid: i64, kind: i32) -> Vec<u8> {
        let mut out = 7i64.to_be_bytes().to_vec();
        out.extend(1i32.to_be_bytes());
        out.extend(zxid.to_be_bytes());
        out.extend(0i64.to_be_bytes());
        out.extend(kind.to_be_bytes());
        out
    }

    fn record(body: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 8];
        out.extend(buffer(body));
        out.push(END_OF_RECORD);
        out
    }

    fn multi(kinds: &[i32]) -> Vec<u8> {
        let mut out = header(3, 14);
        out.extend(i32::try_from(kinds.len()).unwrap().to_be_bytes());
        for kind in kinds {
            out.extend(kind.to_be_bytes());
            out.extend(buffer(&buffer(b"/m")));
        }
        out
    }

    #[test]
    fn finished_entries_only_are_read() {
        let mut file = MAGIC.to_vec();
        file.extend([0; FILE_HEADER_REST]);
        let mut create = header(1, 15);
        create.extend(buffer(b"/a"));
        create.extend(buffer(b"x"));
        file.extend(record(&create));
        let mut set = header(2, 5);
        set.extend(buffer(b"/a"));
        set.extend(buffer(b"y"));
        set.extend(6i32.to_be_bytes());
        file.extend(record(&set));
        file.extend(record(&multi(&[2, 2])));
        file.extend(record(&multi(&[2, -1])));
        file.extend(record(&header(4, -11)));
        let whole = file.len();
        file.extend(record(&create));
        // The last one is not finished.
        file.truncate(whole + 20);
        file.resize(whole + 4096, 0);

        let directory = crate::run_directory::ServerDirectory::create("log").unwrap();
        fs::write(directory.path().join("log.1"), file).unwrap();
        fs::write(directory.path().join("log.2"), [0; 100]).unwrap();
        fs::write(directory.path().join("snapshot.0"), b"ignored").unwrap();
        let txns = read_all(directory.path()).unwrap();
        let changes: Vec<_> = txns.iter().map(|txn| txn.changes.as_slice()).collect();
        let created = Change::Created {
            path: "/a".to_owned(),
            data: b"x".to_vec(),
        };
        let set = Change::Set {
            path: "/a".to_owned(),
            data: b"y".to_vec(),
            version: 6,
        };
        let deleted = || Change::Deleted {
            path: "/m".to_owned(),
        };
        assert_eq!(
            changes,
            [
                &[created][..],
                &[set],
                &[deleted(), deleted()],
                &[],
                &[Change::SessionClosed],
            ]
        );
        assert!(txns.iter().all(|txn| txn.session == 7));

        fs::write(directory.path().join("log.3"), b"something else").unwrap();
        assert!(read_all(directory.path()).is_err());
    }
}
