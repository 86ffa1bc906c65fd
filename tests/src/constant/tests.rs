use super::*;

fn connect(server: &Constant) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let greeting = [[0; 12].as_slice(), &4000_i32.to_be_bytes(), &[0; 29]].concat();
    write(&mut stream, &greeting);
    let granted = read(&mut stream);
    assert_eq!(granted.len(), 37);
    assert_eq!(granted[4..8], 4000_i32.to_be_bytes());
    assert_ne!(granted[8..16], [0; 8]);
    stream
}

fn write(stream: &mut TcpStream, frame: &[u8]) {
    let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], frame].concat()).unwrap();
}

fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut frame).unwrap();
    frame
}

fn string(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}

fn request(xid: i32, op: i32, body: &[u8]) -> Vec<u8> {
    [&xid.to_be_bytes()[..], &op.to_be_bytes(), body].concat()
}

fn xid(frame: &[u8]) -> i32 {
    i32::from_be_bytes(*frame.first_chunk().unwrap())
}

#[test]
fn get_reply_has_its_xid_and_data() {
    let server = Constant::start(100).unwrap();
    let mut stream = connect(&server);
    for n in 1..=3 {
        write(
            &mut stream,
            &request(n, 4, &[&string("/a")[..], &[0]].concat()),
        );
    }
    for n in 1..=3 {
        let answer = read(&mut stream);
        assert_eq!(xid(&answer), n);
        assert_eq!(answer.len(), 16 + 4 + 100 + 68);
    }
}

#[test]
fn get_with_watch_is_followed_by_its_event() {
    let server = Constant::start(0).unwrap();
    let mut stream = connect(&server);
    write(
        &mut stream,
        &request(1, 4, &[&string("/a")[..], &[1]].concat()),
    );
    assert_eq!(xid(&read(&mut stream)), 1);
    let event = read(&mut stream);
    assert_eq!(xid(&event), -1);
    assert!(event.ends_with(&string("/a")));
}

#[test]
fn flood_has_its_size_later_replies_come() {
    let server = Constant::start(0).unwrap();
    let mut stream = connect(&server);
    let asked = 100_000;
    let set = [string(FLOOD), string(&asked.to_string()), vec![0xff; 4]].concat();
    write(&mut stream, &request(1, 5, &set));
    write(&mut stream, &request(-2, 11, &[]));
    assert_eq!(xid(&read(&mut stream)), 1);
    for _ in 0..asked {
        assert_eq!(xid(&read(&mut stream)), -1);
    }
    assert_eq!(xid(&read(&mut stream)), -2);
}

#[test]
fn request_larger_than_a_read_is_answered() {
    let server = Constant::start(0).unwrap();
    let mut stream = connect(&server);
    let large = "x".repeat(3 * READ);
    let set = [string("/a"), string(&large), vec![0xff; 4]].concat();
    write(&mut stream, &request(1, 5, &set));
    assert_eq!(read(&mut stream).len(), 16 + 68);
}

#[test]
fn close_is_answered_and_ends_connection() {
    let server = Constant::start(0).unwrap();
    let mut stream = connect(&server);
    assert_eq!(server.open(), 1);
    write(&mut stream, &request(1, -11, &[]));
    assert_eq!(xid(&read(&mut stream)), 1);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
