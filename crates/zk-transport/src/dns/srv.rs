//! DNS questions for the servers of a service (SRV records, RFC 2782), and their answers.
//!
//! Only the bytes; `name_servers` sends and receives them. Of an answer nothing but its SRV records is
//! read, and no answer makes the reader loop or allocate more than the answer's length.

use zk_proto::HostPort;

/// Header of a message.
const HEADER: usize = 12;
const TYPE_SRV: u16 = 33;
const CLASS_IN: u16 = 1;
/// The longest name and the longest label, as encoded.
const NAME_LIMIT: usize = 255;
const LABEL_LIMIT: usize = 63;
/// The most compression pointers in one name: it has fewer labels.
const POINTER_LIMIT: usize = 128;

/// Why a name cannot be queried, or an answer is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrvError {
    /// It is no domain name: a label is empty or longer than 63 bytes, or the whole is longer than 255.
    #[error("not a domain name")]
    BadName,
    /// The answer is to another question, and has to be ignored.
    #[error("an answer to another question")]
    Unrelated,
    /// The answer cannot be read.
    #[error("malformed DNS message")]
    Malformed,
    /// The answer did not fit a datagram; query again over TCP.
    #[error("the answer is truncated")]
    Truncated,
    /// The name does not exist.
    #[error("no such name")]
    NoSuchName,
    /// The name server failed, with this code.
    #[error("the name server failed, code {0}")]
    Failed(u8),
}

/// A question for the SRV records of `name`, without the length that precedes it over TCP.
///
/// # Errors
/// [`SrvError::BadName`].
pub fn question(id: u16, name: &str) -> Result<Vec<u8>, SrvError> {
    let mut out = Vec::with_capacity(HEADER + NAME_LIMIT + 4);
    out.extend(id.to_be_bytes());
    // Recursion desired; one question, nothing else.
    out.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len()).map_err(|_| SrvError::BadName)?;
        if label.is_empty() || label.len() > LABEL_LIMIT || !label.is_ascii() {
            return Err(SrvError::BadName);
        }
        out.push(length);
        out.extend(label.as_bytes());
    }
    out.push(0);
    if out.len() - HEADER > NAME_LIMIT {
        return Err(SrvError::BadName);
    }
    out.extend(TYPE_SRV.to_be_bytes());
    out.extend(CLASS_IN.to_be_bytes());
    Ok(out)
}

/// The servers in the answer to `question`, in its order; priorities and weights are ignored, as the
/// members of an ensemble are equal. Empty if the answer says that the service is not available.
///
/// # Errors
/// The answer is to another question, cannot be read, or reports a failure.
pub fn servers(question: &[u8], answer: &[u8]) -> Result<Vec<HostPort>, SrvError> {
    let mut input = Input {
        message: answer,
        at: 0,
    };
    // An answer that is too short to have an id cannot be matched to a question.
    let header = input.header().ok_or(SrvError::Unrelated)?;
    let Header {
        id,
        flags,
        questions,
        answers,
    } = header;
    let asked = question.get(HEADER..).unwrap_or_default();
    let response = flags & 0x8000 != 0;
    if !response || question.get(..2) != Some(&id.to_be_bytes()[..]) {
        return Err(SrvError::Unrelated);
    }
    if questions == 1 {
        let repeated = input.take(asked.len()).map_err(|_| SrvError::Unrelated)?;
        // Name servers may change the case of letters.
        if !repeated.eq_ignore_ascii_case(asked) {
            return Err(SrvError::Unrelated);
        }
    } else if questions > 1 {
        return Err(SrvError::Unrelated);
    }
    match flags.to_be_bytes()[1] & 0x0f {
        0 => {}
        3 => return Err(SrvError::NoSuchName),
        code => return Err(SrvError::Failed(code)),
    }
    if flags & 0x0200 != 0 {
        return Err(SrvError::Truncated);
    }
    let mut servers = Vec::new();
    for _ in 0..answers {
        input.name()?;
        let (kind, class) = (input.u16()?, input.u16()?);
        input.skip(4)?;
        let length = usize::from(input.u16()?);
        let end = input.at + length;
        // An answer may contain the aliases that lead to its SRV records.
        if kind == TYPE_SRV && class == CLASS_IN {
            input.skip(4)?;
            let port = input.u16()?;
            let host = input.name()?;
            if input.at != end {
                return Err(SrvError::Malformed);
            }
            if !host.is_empty() && port != 0 {
                servers.push(HostPort { host, port });
            }
        } else {
            input.skip(length)?;
        }
    }
    Ok(servers)
}

struct Header {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
}

/// A message being read.
struct Input<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], SrvError> {
        let end = self.at.checked_add(n).ok_or(SrvError::Malformed)?;
        let bytes = self.message.get(self.at..end).ok_or(SrvError::Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    fn header(&mut self) -> Option<Header> {
        let mut next = || self.u16().ok();
        let header = Header {
            id: next()?,
            flags: next()?,
            questions: next()?,
            answers: next()?,
        };
        self.skip(4).ok()?;
        Some(header)
    }

    fn skip(&mut self, n: usize) -> Result<(), SrvError> {
        self.take(n).map(|_| ())
    }

    fn u8(&mut self) -> Result<u8, SrvError> {
        self.take(1)?.first().copied().ok_or(SrvError::Malformed)
    }

    fn u16(&mut self) -> Result<u16, SrvError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    /// A name, without the dot at its end; empty for the root.
    fn name(&mut self) -> Result<String, SrvError> {
        let mut name = String::new();
        let mut after = None;
        let mut pointers = 0;
        loop {
            let length = self.u8()?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = self.take(length.into())?;
                    if !label
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() && *byte != b'.')
                    {
                        return Err(SrvError::Malformed);
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(std::str::from_utf8(label).map_err(|_| SrvError::Malformed)?);
                    if name.len() > NAME_LIMIT {
                        return Err(SrvError::Malformed);
                    }
                }
                // The rest of the name is elsewhere in the message.
                3 => {
                    let low = self.u8()?;
                    after.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    pointers += 1;
                    if pointers > POINTER_LIMIT {
                        return Err(SrvError::Malformed);
                    }
                }
                _ => return Err(SrvError::Malformed),
            }
        }
        if let Some(after) = after {
            self.at = after;
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "_zookeeper._tcp.example.com";

    /// An answer as BIND writes it: the owner's name is a pointer to the question, and so is the
    /// domain of the targets.
    fn answer(question: &[u8], flags: [u8; 2], targets: &[(&str, u16)]) -> Vec<u8> {
        let mut out = question.to_vec();
        out[2..4].copy_from_slice(&flags);
        out[7] = u8::try_from(targets.len()).unwrap();
        let domain = HEADER + "\x0a_zookeeper\x04_tcp".len();
        for (target, port) in targets {
            out.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
            let length = 6 + 1 + target.len() + 2;
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
            out.extend([0, 1, 0, 2]);
            out.extend(port.to_be_bytes());
            out.push(u8::try_from(target.len()).unwrap());
            out.extend(target.as_bytes());
            out.extend([0xc0, u8::try_from(domain).unwrap()]);
        }
        out
    }

    const FOUND: [u8; 2] = [0x81, 0x80];

    #[test]
    fn a_question_has_the_bytes_of_rfc_1035() {
        let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02zk\x07example\0\0\x21\0\x01";
        assert_eq!(question(0x1234, "zk.example").unwrap(), expected);
        assert_eq!(question(0x1234, "zk.example.").unwrap(), expected);
    }

    #[test]
    fn invalid_names_are_refused() {
        let long = ["a"; 128].join(".");
        for name in ["", ".", "a..b", ".a", &"a".repeat(64), &long, "zk\u{f6}"] {
            assert_eq!(question(1, name), Err(SrvError::BadName), "{name}");
        }
        assert!(question(1, &"a".repeat(63)).is_ok());
    }

    #[test]
    fn servers_with_compressed_names_are_read() {
        let question = question(7, NAME).unwrap();
        let answer = answer(&question, FOUND, &[("zk1", 2181), ("zk2", 2182)]);
        let found = servers(&question, &answer).unwrap();
        let text: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["zk1.example.com:2181", "zk2.example.com:2182"]);
    }

    #[test]
    fn unrelated_answers_differ_from_failures() {
        let ours = question(7, NAME).unwrap();
        let other_id = question(8, NAME).unwrap();
        let other_name = question(7, "_zookeeper._tcp.example.org").unwrap();
        for unrelated in [&other_id, &other_name] {
            let answer = answer(unrelated, FOUND, &[("zk1", 1)]);
            assert_eq!(servers(&ours, &answer), Err(SrvError::Unrelated));
        }
        assert_eq!(servers(&ours, &ours), Err(SrvError::Unrelated));
        for (flags, problem) in [
            ([0x81, 0x83], SrvError::NoSuchName),
            ([0x81, 0x82], SrvError::Failed(2)),
            ([0x83, 0x80], SrvError::Truncated),
        ] {
            assert_eq!(servers(&ours, &answer(&ours, flags, &[])), Err(problem));
        }
        assert_eq!(servers(&ours, &answer(&ours, FOUND, &[])), Ok(Vec::new()));
    }

    #[test]
    fn a_name_that_points_at_itself_is_refused() {
        let question = question(7, NAME).unwrap();
        let mut answer = answer(&question, FOUND, &[("zk1", 1)]);
        let last = answer.len() - 2;
        let at = u16::try_from(last).unwrap() | 0xc000;
        answer[last..].copy_from_slice(&at.to_be_bytes());
        assert_eq!(servers(&question, &answer), Err(SrvError::Malformed));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let question = question(7, NAME).unwrap();
        let answer = answer(&question, FOUND, &[("zk1", 1), ("zk2", 2)]);
        for end in 0..answer.len() {
            assert!(servers(&question, &answer[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        /// Guards: G9.
        #[test]
        fn any_answer_is_read_or_refused(
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            tail in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let question = question(7, NAME).unwrap();
            let mut answer = answer(&question, FOUND, &[("zk1", 1), ("zk2", 2)]);
            for (at, byte) in noise {
                let at = at.index(answer.len());
                answer[at] = byte;
            }
            answer.extend(tail);
            if let Ok(found) = servers(&question, &answer) {
                prop_assert!(found.len() <= answer.len());
            }
        }
    }
}
