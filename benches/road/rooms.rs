//! How long the pages of the control room take beside a million subscribers and five million deliveries, the last million of
//! which waits for a relay that is down: the median of each page, and its ratio to one row read by its key from the same store.

use crate::{fan_out, median, setting};
use allim::app::{self, App, lifecycle};
use allim::domain::staff::{Role, secret_hash};
use allim::store::{Store, StoreError, Tx, staff};
use allim::web::admin;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Issues of the digest, each to everybody.
const ISSUES: usize = 5;
/// How often each page is asked for.
const ASKED: usize = 15;
/// What no page may take, in milliseconds.
const GOAL_MS: f64 = 200.0;
/// Somebody in the middle of the crowd, as `setting::crowd` numbers them.
const SOMEBODY: i64 = 500_000 * 1_000_003;

pub async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    on("SQLite", folder.path(), "").await;
    if let Ok(url) = std::env::var("ALLIM_TEST_POSTGRES") {
        let folder = tempfile::tempdir().expect("a folder");
        on("PostgreSQL", folder.path(), &setting::postgres(&url).await).await;
    }
}

async fn on(database: &str, folder: &std::path::Path, store: &str) {
    let [pages, room, relay] = [free(), free(), free()];
    let extra = format!(
        "{}[admin]\nlisten = \"127.0.0.1:{room}\"\n[web]\nlisten = \"127.0.0.1:{pages}\"\npublic_url = \"http://127.0.0.1:{pages}\"\n\
         [[relay]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {relay}\ntls = \"none\"\nconnections = 1\n",
        setting::topics()
    );
    let app = setting::app_on(folder, store, &extra).await;
    let empty = folder_mib(folder);
    setting::crowd(&app, fan_out::crowd()).await;
    let peopled = folder_mib(folder);
    fill(&app).await;
    if database == "SQLite" {
        println!(
            "| disk, {database}: {} subscribers; and {ISSUES} issues to each | {} MiB; {} MiB | {empty} MiB empty | | with the write-ahead log |",
            fan_out::crowd(),
            peopled,
            folder_mib(folder)
        );
    }
    let link = link(&app).await;
    let store = app.store.clone();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(lifecycle::run(app, Arc::new(String::new), stopping));
    let reader = Reader::sign_in(room, &link).await;
    for path in paths(&store).await {
        reader.measure(database, &path, &store).await;
    }
    println!("| memory of the whole, {database}, pages looked at | {} MiB | | | |", crate::growth::resident_mib());
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// What lies in a folder.
fn folder_mib(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum::<u64>() / (1024 * 1024)
}

/// Issues that everybody had, and one that everybody is owed.
async fn fill(app: &App) {
    for issue in 0..ISSUES {
        setting::publish_ten(app, &format!("room-{issue}")).await;
        app.planner.release(app.store.now().await.expect("a time")).await.expect("released");
        app.planner.fire_now("weekly").await.expect("fired");
        app.planner.tick().await.expect("planned");
        if issue + 1 < ISSUES {
            app.store.write(deliver).await.expect("delivered");
        }
    }
    // What the next issue holds.
    setting::publish_ten(app, "room-next").await;
    app.planner.release(app.store.now().await.expect("a time")).await.expect("released");
}

/// Everything owed is taken, as sending would have noted it.
fn deliver(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    const DUE: &str = "SELECT plan_id, number, size, planned_at FROM batches WHERE state = 'due'";
    const LOG: &str =
        "INSERT INTO batch_log (plan_id, number, entry, attempt, at, began, taken) VALUES ($1, $2, 1, 1, $3, '[]', $4)";
    const END: &str = "UPDATE batches SET state = 'done', open = 0, claims = 1, entries = 1, finished_at = planned_at
         WHERE state = 'due'";
    for row in tx.query(DUE, &[])? {
        let everyone: Vec<i64> = (0..row.int(2)?).collect();
        let taken = serde_json::json!({ "250 2.0.0 Ok": everyone }).to_string();
        tx.execute(LOG, &[row.int(0)?.into(), row.int(1)?.into(), row.int(3)?.into(), taken.as_str().into()])?;
    }
    tx.execute(END, &[])?;
    Ok(())
}

async fn link(app: &App) -> String {
    let (secret, now) = (app::new_secret(&app.world), app.store.now().await.expect("a time"));
    let hash = secret_hash(&secret);
    let add = move |tx: &mut Tx<'_>| {
        let id = staff::add(tx, 1, "operator", Role::Owner, now)?.expect("a new name");
        staff::add_link(tx, &hash, id, now.plus(Duration::from_secs(3_600)))
    };
    app.store.write(add).await.expect("somebody");
    format!("/admin/link/{secret}")
}

/// Every page behind the door, with what a busy operator would look at.
async fn paths(store: &Store) -> Vec<String> {
    let first = |sql: &'static str| async move {
        let rows = store.read(move |tx| tx.query(sql, &[])).await.expect("read");
        rows.first().map(|row| row.text(0).expect("a text").to_owned()).unwrap_or_default()
    };
    let post = first("SELECT id FROM posts ORDER BY received_at DESC LIMIT 1").await;
    let plan = first("SELECT CAST(MAX(id) AS TEXT) FROM occurrences").await;
    let mut paths = Vec::new();
    for (verb, path, _) in admin::routes_told() {
        if verb != "GET" || path.contains("/quarantine/{") || path.contains("/partners/{") || path.contains("{list}") {
            continue;
        }
        let id = if path.starts_with("/admin/posts/") { post.clone() } else { SOMEBODY.to_string() };
        let mut path = path.replace("{name}", "weekly").replace("{id}", &id);
        path.push_str(&match path.rsplit('/').next() {
            Some("readers") => format!("?plan={plan}"),
            Some("preview" | "html") => "?language=ko".to_owned(),
            Some("why") => format!("?post={post}"),
            _ => String::new(),
        });
        paths.push(path);
    }
    let more =
        ["/admin/deliveries?state=due", "/admin/people?q=r4999", "/admin/people?q=d3.example", "/admin?span=day"];
    paths.extend(more.map(str::to_owned));
    paths
}

struct Reader {
    client: reqwest::Client,
    origin: String,
    cookie: String,
}

impl Reader {
    async fn sign_in(port: u16, link: &str) -> Self {
        let origin = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let client = client.expect("a client");
        let answer = loop {
            match client.post(format!("{origin}{link}")).header("origin", &origin).send().await {
                Ok(answer) => break answer,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let cookie = answer.headers().get("set-cookie").expect("a session").to_str().expect("ASCII");
        Self { client, cookie: cookie.split(';').next().expect("a pair").to_owned(), origin }
    }

    /// Page and row in turn; the first of each is not counted.
    async fn measure(&self, database: &str, path: &str, store: &Store) {
        let (mut pages, mut rows) = (Vec::new(), Vec::new());
        for round in 0..=ASKED {
            let started = Instant::now();
            let answer = self.client.get(format!("{}{path}", self.origin)).header("cookie", &self.cookie).send();
            let answer = answer.await.expect("an answer");
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            answer.bytes().await.expect("a page");
            let page = started.elapsed().as_secs_f64() * 1_000.0;
            let started = Instant::now();
            let one = "SELECT address FROM subscribers WHERE id = $1";
            store.read(move |tx| tx.query(one, &[SOMEBODY.into()])).await.expect("a row");
            if round > 0 {
                pages.push(page);
                rows.push(started.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        let (page, row) = (median(&mut pages), median(&mut rows));
        let worst = pages.last().copied().unwrap_or(f64::NAN);
        let late = if page > GOAL_MS { "; late" } else { "" };
        println!(
            "| control room, {database}: `{}` | {page:.1} ms (worst {worst:.0}) | {row:.3} ms | {:.0} | one row by its key; goal {GOAL_MS:.0} ms{late} |",
            path.replace('|', "%7C"),
            page / row
        );
    }
}
