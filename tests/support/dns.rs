//! A name server on loopback with records of the test's own, which can also say nothing at all.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, PTR, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Seconds that records are good for; allim remembers none.
const TTL: u32 = 60;
/// Longest string within a TXT record (RFC 1035 section 3.3).
const STRING_LEN_MAX: usize = 255;

/// Name, kind and value.
type Entry = (String, &'static str, String);

#[derive(Clone)]
pub struct Dns {
    pub address: SocketAddr,
    records: Arc<Mutex<Vec<Entry>>>,
    is_silent: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    /// Starts a server with these records: name without a dot at its end, kind, value.
    pub fn start(records: &[(&str, &'static str, &str)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let dns = Self {
            address: socket.local_addr().expect("an address"),
            records: Arc::default(),
            is_silent: Arc::default(),
            asked: Arc::default(),
        };
        for (name, kind, value) in records {
            dns.add(name, kind, value);
        }
        let serving = dns.clone();
        std::thread::spawn(move || serving.serve(&socket));
        dns
    }

    pub fn add(&self, name: &str, kind: &'static str, value: &str) {
        self.records.lock().expect("not poisoned").push((name.to_owned(), kind, value.to_owned()));
    }

    pub fn remove(&self, name: &str, kind: &str) {
        self.records.lock().expect("not poisoned").retain(|(of, its, _)| of != name || *its != kind);
    }

    /// Says nothing more, or speaks again.
    pub fn fall_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn serve(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4_096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.is_silent.load(Ordering::SeqCst) {
                continue;
            }
            let Ok(asked) = Message::from_vec(&buffer[..len]) else { continue };
            if let Ok(bytes) = self.answer(&asked).to_vec() {
                let _ = socket.send_to(&bytes, from);
            }
        }
    }

    fn answer(&self, asked: &Message) -> Message {
        let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
        answer.metadata.recursion_desired = asked.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        let Some(query) = asked.queries.first() else { return answer };
        answer.add_query(query.clone());
        let name = query.name().to_ascii().to_ascii_lowercase().trim_end_matches('.').to_owned();
        let records = self.records.lock().expect("not poisoned");
        let mut is_there = false;
        for (_, kind, value) in records.iter().filter(|(of, ..)| *of == name) {
            is_there = true;
            let (kind, data) = data(kind, value);
            if kind == query.query_type() {
                answer.add_answer(Record::from_rdata(query.name().clone(), TTL, data));
            }
        }
        if !is_there {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        answer
    }
}

fn data(kind: &str, value: &str) -> (RecordType, RData) {
    let name = || Name::from_ascii(format!("{}.", value.trim_end_matches('.'))).expect("a name");
    match kind {
        "A" => (RecordType::A, RData::A(A(value.parse().expect("an address")))),
        "MX" => (RecordType::MX, RData::MX(MX::new(10, name()))),
        "PTR" => (RecordType::PTR, RData::PTR(PTR(name()))),
        "TXT" => {
            let strings = value.as_bytes().chunks(STRING_LEN_MAX);
            let strings = strings.map(|string| String::from_utf8(string.to_vec()).expect("ASCII")).collect();
            (RecordType::TXT, RData::TXT(TXT::new(strings)))
        }
        other => panic!("no records of the kind {other}"),
    }
}
