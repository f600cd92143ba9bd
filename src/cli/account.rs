//! `allim account`: own accounts at social networks: what they would say, and logins.

use super::{Context, post, print};
use crate::app::{self, App, Purpose, World, accounts};
use crate::config::accounts::Account;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Outcome;
use crate::domain::destination;
use crate::domain::post::{Post, Showable};
use crate::render::blurb::{Blurb, Style};
use crate::send::social::login::{Draw, Login};
use crate::send::social::network::Credential;
use crate::store::{Tx, accounts as store_accounts, deliveries};
use anyhow::Context as _;
use serde_json::{Value, json};

/// What is done with accounts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists them.
    List,
    /// Shows what each account would say of a post, with how much of the network's limits it takes, or why it can't. Sends nothing.
    Preview {
        /// The post's id, or the id that its source gave it.
        post: String,
    },
    /// Logs an account in: by the browser where the network wants that, else with a token or password from standard input.
    Login {
        /// The account's name.
        name: String,
    },
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::List => list(&app, json).await,
        Command::Preview { post } => preview(&app, &post, json).await,
        Command::Login { name } => login(&app, &name).await,
    }
}

/// An account as it stands in the ledger.
struct Listed<'a> {
    account: &'a Account,
    /// What waits for it.
    waits: i64,
    /// Deliveries that a person must settle.
    uncertain: i64,
    /// Since when a person must log in again, and why.
    login_failed: Option<(UnixMillis, String)>,
}

async fn list(app: &App, as_json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for account in &app.config.accounts {
        let id = account.endpoint_id();
        let destination = destination::of_endpoint(account.carrier(), id);
        let look = move |tx: &mut Tx<'_>| Ok((store_accounts::find(tx, id)?, deliveries::open_of(tx, &destination)?));
        let (row, (waits, uncertain)) = app.store.read(look).await?;
        all.push(Listed { account, waits, uncertain, login_failed: row.login_failed });
    }
    if as_json {
        let one = |one: &Listed<'_>| {
            let Listed { account, waits, uncertain, login_failed } = one;
            let failed = login_failed.as_ref().map(|(since, why)| json!({ "since": since.to_string(), "reason": why }));
            json!({ "name": account.name, "network": account.carrier(), "language": account.language, "waits": waits,
                "uncertain": uncertain, "login_failed": failed })
        };
        return print::json(&all.iter().map(one).collect::<Vec<_>>());
    }
    let row = |one: &Listed<'_>| {
        let account = one.account;
        let slots = account.slots.as_ref().map_or_else(|| "at once".to_owned(), ToString::to_string);
        let state = match &one.login_failed {
            Some((since, why)) => {
                format!("must log in again since {since} ({why}): allim account login {}", account.name)
            }
            None if one.uncertain > 0 => {
                format!("{} for a person: allim delivery list --state uncertain", one.uncertain)
            }
            None => "well".to_owned(),
        };
        let network = account.carrier().to_owned();
        vec![account.name.clone(), network, account.language.to_string(), slots, one.waits.to_string(), state]
    };
    print::table(&["name", "network", "language", "when", "waits", "state"], all.iter().map(row));
    Ok(())
}

/// What one account would say.
struct Shown<'a> {
    account: &'a Account,
    style: Style,
    said: Result<Blurb, String>,
    /// Why it wouldn't be asked to.
    passed_over: Option<String>,
}

async fn preview(app: &App, given: &str, as_json: bool) -> anyhow::Result<()> {
    let (standing, found) = post::find(app, given).await?;
    let source = standing.source.clone();
    let showable = Showable::editors_preview(standing, found);
    let guard = app::outside::guard(app, true)?;
    let shown: Vec<Shown<'_>> = app
        .config
        .accounts
        .iter()
        .map(|account| {
            let style = accounts::look_at(account, guard.clone()).style();
            let said = Blurb::write(&showable, &style, &account.wording).map_err(|unfit| unfit.to_string());
            Shown { account, style, said, passed_over: passed_over(account, showable.post(), &source) }
        })
        .collect();
    if as_json {
        return print::json(&shown.iter().map(as_value).collect::<Vec<_>>());
    }
    let row = |shown: &Shown<'_>| {
        let (text, counts) = match &shown.said {
            Ok(blurb) => (beside(blurb, &shown.style), counts(blurb, &shown.style)),
            Err(why) => (format!("can't be posted: {why}"), String::new()),
        };
        let text = match &shown.passed_over {
            Some(why) => format!("({why})\n{text}"),
            None => text,
        };
        vec![format!("{}\n{}", shown.account.name, shown.account.carrier()), text, counts]
    };
    print::table(&["account", "says", "takes"], shown.iter().map(row));
    Ok(())
}

/// Why an account passes a post over, though it could say it.
fn passed_over(account: &Account, post: &Post, source: &str) -> Option<String> {
    if post.language != account.language {
        return Some(format!("posts in {} only, unless this one stands in for one", account.language));
    }
    if !account.topics.is_empty() && !post.topics.iter().any(|topic| account.topics.contains(topic)) {
        return Some(format!("posts {} only", account.topics.join(", ")));
    }
    let is_other = !account.sources.is_empty() && !account.sources.iter().any(|known| known == source);
    is_other.then(|| format!("posts of {} only", account.sources.join(", ")))
}

/// The text with what travels beside it.
fn beside(blurb: &Blurb, style: &Style) -> String {
    let mut text = String::new();
    if !style.title_in_text {
        text = format!("title: {}\n", blurb.title);
    }
    text.push_str(&blurb.text);
    if let Some(url) = blurb.url.as_ref().filter(|_| !style.url_in_text) {
        text.push_str(&format!("\nlink: {url}"));
    }
    text
}

fn counts(blurb: &Blurb, style: &Style) -> String {
    let one = |(measure, count, max)| format!("{count} of {max} {measure}");
    blurb.counts(style).into_iter().map(one).collect::<Vec<_>>().join("\n")
}

fn as_value(shown: &Shown<'_>) -> Value {
    let mut value = json!({
        "account": shown.account.name, "network": shown.account.carrier(), "language": shown.account.language,
        "passed_over": shown.passed_over,
    });
    match &shown.said {
        Err(why) => value["refused"] = json!(why),
        Ok(blurb) => {
            let count = |(measure, count, max): (_, usize, usize)| {
                let measure: crate::render::fit::Measure = measure;
                json!({ "count": count, "max": max, "measure": measure.to_string() })
            };
            value["counts"] = blurb.counts(&shown.style).into_iter().map(count).collect();
            value["says"] = json!(blurb);
        }
    }
    value
}

async fn login(app: &App, name: &str) -> anyhow::Result<()> {
    let accounts = &app.config.accounts;
    let account = accounts.iter().find(|account| account.name == name).with_context(|| {
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        format!("no [[account]] has the name `{name}`; there are: {}", names.join(", "))
    })?;
    let network = accounts::build(account, app::outside::guard(app, true)?)?;
    let now = app.store.now().await?;
    let credential = match network.login() {
        Some(login) => by_browser(app, login).await?,
        None => {
            eprintln!("Paste the token, the password or the webhook's address, and end the line:");
            let given = Credential { access: line().await?, ..Credential::default() };
            let renewed = network.refresh(&given, now).await;
            renewed.map_err(|outcome| refusal(&outcome))?.unwrap_or(given)
        }
    };
    accounts::keep(app, account, &credential).await?;
    print::line(format!("account `{}` is logged in", account.name));
    Ok(())
}

async fn by_browser(app: &App, login: &dyn Login) -> anyhow::Result<Credential> {
    let mut random = [0_u8; 64];
    for octets in random.chunks_exact_mut(8) {
        octets.copy_from_slice(&app.world.chance.draw().to_be_bytes());
    }
    let draw = Draw::new(&random);
    eprintln!("Open this address in a browser, and say yes there:");
    print::line(login.page(&draw));
    eprintln!(
        "The browser is then led to an address that may show nothing. Paste that address here, and end the line:"
    );
    let code = draw.code(&line().await?).map_err(anyhow::Error::msg)?;
    let now = app.store.now().await?;
    login.exchange(&code, &draw, now).await.map_err(|outcome| refusal(&outcome))
}

fn refusal(outcome: &Outcome) -> anyhow::Error {
    let reply = match outcome {
        Outcome::TryLater { reply, .. } | Outcome::Refused { reply, .. } | Outcome::Uncertain { reply, .. } => reply,
        Outcome::Sent { .. } | Outcome::NotAllowed => "it doesn't say why",
    };
    anyhow::anyhow!("the network lets nobody in: {reply}")
}

async fn line() -> anyhow::Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        std::io::stdin().read_line(&mut text).map(|_| text)
    });
    let text = read.await?.context("standard input")?.trim().to_owned();
    anyhow::ensure!(!text.is_empty(), "nothing was pasted");
    Ok(text)
}
