//! A small HTTP server that can misbehave: what it answers is a network's own file to say.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What was asked.
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// Method and path, as documents name them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn json(&self) -> Value {
        assert!(self.header("content-type").starts_with("application/json"), "{}", self.header("content-type"));
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn form(&self) -> BTreeMap<String, String> {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether it bears this token.
    pub fn bears(&self, token: &str) -> bool {
        self.header("authorization") == format!("Bearer {token}")
    }
}

/// What is answered.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: body.to_string() }
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type", "text/plain".to_owned())], body: body.to_owned() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn head(&self, length: usize) -> String {
        let mut head =
            format!("HTTP/1.1 {} Some Words\r\nconnection: close\r\ncontent-length: {length}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }
}

/// How the call that makes a post is answered.
#[derive(Clone)]
pub enum Mood {
    /// As the documents say.
    Well,
    /// This instead; nothing is made.
    Says(Reply),
    /// The post is made, and this is said.
    MakesAndSays(Reply),
    /// The post is made, and nothing is said.
    MakesAndGoes,
    /// The post is made, and half of the answer is said.
    MakesAndBreaks,
    /// The post is made, and the answer takes for ever.
    MakesAndDrips,
}

/// A post at the network.
#[derive(Clone, Debug)]
pub struct Posted {
    pub id: String,
    pub text: String,
    pub parent: Option<String>,
    /// By which a repeat is known.
    pub key: String,
}

/// Draws moods.
pub type Dice = Box<dyn FnMut() -> Mood + Send>;

/// What the network holds.
pub struct Board {
    pub posts: Vec<Posted>,
    pub mood: Mood,
    /// Draws the mood anew for each call that makes a post.
    pub dice: Option<Dice>,
    /// What was asked that isn't in the documents.
    pub strays: Vec<String>,
    /// Every call, in order.
    pub calls: Vec<String>,
    made: usize,
}

impl Board {
    /// Makes a post, and says its number.
    pub fn make(&mut self, text: &str, parent: Option<String>, key: &str) -> String {
        self.made += 1;
        let id = format!("{}", 1_000 + self.made);
        self.posts.push(Posted { id: id.clone(), text: text.to_owned(), parent, key: key.to_owned() });
        id
    }

    pub fn by_key(&self, key: &str) -> Option<&Posted> {
        self.posts.iter().find(|post| post.key == key)
    }

    /// Takes a post away; whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.posts.len();
        self.posts.retain(|post| post.id != id);
        self.posts.len() < before
    }

    pub fn change(&mut self, id: &str, text: &str) -> bool {
        let post = self.posts.iter_mut().find(|post| post.id == id);
        post.map(|post| post.text = text.to_owned()).is_some()
    }
}

/// A network's documents as code: what it answers, and whether a call makes a post. `None`: it isn't in the documents.
pub type Documents = fn(&mut Board, &Request) -> Option<Reply>;

/// A network.
#[derive(Clone)]
pub struct Server {
    pub base: String,
    pub board: Arc<Mutex<Board>>,
}

impl Server {
    pub async fn start(documents: Documents, makes: fn(&Request) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let board = Board { posts: vec![], mood: Mood::Well, dice: None, strays: vec![], calls: vec![], made: 0 };
        let board = Arc::new(Mutex::new(board));
        let shared = board.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone(), documents, makes));
            }
        });
        Self { base, board }
    }

    pub fn mood(&self, mood: Mood) {
        self.board.lock().expect("not poisoned").mood = mood;
    }

    pub fn posts(&self) -> Vec<Posted> {
        self.board.lock().expect("not poisoned").posts.clone()
    }

    pub fn strays(&self) -> Vec<String> {
        self.board.lock().expect("not poisoned").strays.clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    board: Arc<Mutex<Board>>,
    documents: Documents,
    makes: fn(&Request) -> bool,
) -> Option<()> {
    let request = read(&mut stream).await?;
    let (reply, mood) = {
        let mut board = board.lock().expect("not poisoned");
        board.calls.push(request.line());
        let mood = match (makes(&request), &mut board.dice) {
            (false, _) => Mood::Well,
            (true, None) => board.mood.clone(),
            (true, Some(dice)) => dice(),
        };
        if let Mood::Says(reply) = mood {
            (reply, Mood::Well)
        } else {
            let reply = documents(&mut board, &request);
            if reply.is_none() {
                board.strays.push(request.line());
            }
            let reply = reply.unwrap_or_else(|| Reply::text(404, "not in the documents"));
            match mood {
                Mood::MakesAndSays(other) => (other, Mood::Well),
                mood => (reply, mood),
            }
        }
    };
    let whole = format!("{}{}", reply.head(reply.body.len()), reply.body);
    match mood {
        Mood::MakesAndGoes => {}
        Mood::MakesAndBreaks => {
            let half: String = reply.body.chars().take(reply.body.chars().count() / 2).collect();
            let promised = format!("{}{half}", reply.head(reply.body.len().max(1)));
            stream.write_all(promised.as_bytes()).await.ok()?;
        }
        Mood::MakesAndDrips => {
            stream.write_all(reply.head(10_000).as_bytes()).await.ok()?;
            loop {
                stream.write_all(b" ").await.ok()?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        _ => stream.write_all(whole.as_bytes()).await.ok()?,
    }
    stream.shutdown().await.ok()
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break at;
        }
        let mut more = [0_u8; 8_192];
        let count = stream.read(&mut more).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&more[..count]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = bytes[head_end + 4..].to_vec();
    while body.len() < length {
        let mut more = vec![0_u8; length - body.len()];
        let count = stream.read(&mut more).await.ok().filter(|count| *count > 0)?;
        body.extend_from_slice(&more[..count]);
    }
    let url = url::Url::parse(&format!("http://host{target}")).ok()?;
    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8().ok()?.into_owned();
    Some(Request { method, path, query: url.query_pairs().into_owned().collect(), headers, body })
}
