//! `allim inbound`: takes a mail that came back from standard input, and shows what became of those that came.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::inbound::{MESSAGE_LEN_MAX, Mail, TooLong, Verdict, Via};
use crate::store::inbound::{self, Kept};
use anyhow::Context as _;
use std::io::Read as _;

/// What is done with mail that came back.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists mails that came back, newest first.
    List {
        /// Only those: bounce, delay, complaint, unsubscribe, auto_reply, unknown, malformed or loop.
        #[arg(long, value_parser = verdict)]
        verdict: Option<Verdict>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Shows one mail and what followed from it.
    Show {
        /// Its id, as `list` prints it.
        id: String,
    },
    /// Has a mail read again.
    Again {
        /// Its id, as `list` prints it.
        id: String,
    },
}

/// EX_TEMPFAIL of sysexits.h: the mail server that piped a mail keeps it and comes again.
pub(super) const COME_AGAIN: u8 = 75;

fn verdict(text: &str) -> Result<Verdict, String> {
    let words: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.word()).collect();
    Verdict::from_word(text).ok_or_else(|| format!("write one of: {}", words.join(", ")))
}

/// Whether a mail that was piped can never be taken, so that its mail server needn't come again.
pub(super) fn is_for_good(error: &anyhow::Error) -> bool {
    error.downcast_ref::<TooLong>().is_some()
}

pub(super) async fn run(to: Option<String>, command: Option<Command>, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        None => take(&app, to.as_deref(), json).await,
        Some(Command::List { verdict, limit }) => list(&app, verdict, limit, json).await,
        Some(Command::Show { id }) => show(&app, id, json).await,
        Some(Command::Again { id }) => again(&app, id, json).await,
    }
}

async fn take(app: &App, to: Option<&str>, json: bool) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    // One octet more than is taken, so that a mail that is too long is told from one that just fits.
    std::io::stdin().lock().take(MESSAGE_LEN_MAX as u64 + 1).read_to_end(&mut bytes).context("standard input")?;
    let mail = Mail::new(Via::Command, to, bytes)?;
    let (id, now) = (mail.id.clone(), app.store.now().await?);
    let kept = app.store.write(move |tx| inbound::keep(tx, &mail, now)).await?;
    anyhow::ensure!(kept != Kept::Full, "too much mail waits to be read; come again later");
    if json {
        return print::json(&serde_json::json!({ "id": id, "new": kept == Kept::New }));
    }
    Ok(())
}

async fn list(app: &App, verdict: Option<Verdict>, limit: u32, json: bool) -> anyhow::Result<()> {
    let rows = app.store.read(move |tx| inbound::list(tx, verdict, i64::from(limit))).await?;
    if json {
        return print::json(&rows);
    }
    let zone = &app.config.zone;
    let row = |one: &inbound::Received| {
        let verdict = one.verdict.map_or("waits", Verdict::word).to_owned();
        let detail = one.detail.clone().unwrap_or_default();
        vec![one.id.clone(), print::at(one.received_at, zone), one.via.to_string(), verdict, detail]
    };
    print::table(&["id", "received", "via", "verdict", "what followed"], rows.iter().map(row));
    Ok(())
}

async fn show(app: &App, id: String, json: bool) -> anyhow::Result<()> {
    let found = app.store.read(move |tx| inbound::find(tx, &id)).await?;
    let (mail, bytes) = found.context("there is no such mail")?;
    let text = String::from_utf8_lossy(&bytes);
    if json {
        return print::json(&serde_json::json!({ "mail": mail, "message": text }));
    }
    let zone = &app.config.zone;
    print::fields(&[
        ("id", mail.id.clone()),
        ("to", mail.envelope_to.clone()),
        ("via", mail.via.to_string()),
        ("received", print::at(mail.received_at, zone)),
        ("settled", print::at_opt(mail.settled_at, zone)),
        ("verdict", mail.verdict.map(|verdict| verdict.to_string()).unwrap_or_default()),
        ("followed", mail.detail.clone().unwrap_or_default()),
    ]);
    print::line("");
    print::line(print::visible(&text));
    Ok(())
}

async fn again(app: &App, id: String, json: bool) -> anyhow::Result<()> {
    let key = id.clone();
    let reopened = app.store.write(move |tx| inbound::reopen(tx, &key)).await?;
    anyhow::ensure!(reopened, "there is no such mail");
    if json {
        return print::json(&serde_json::json!({ "id": id }));
    }
    print::line(format!("{id} is read again; a running allim takes it within seconds"));
    Ok(())
}
