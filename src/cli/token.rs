//! `allim token`: bearer tokens of publishers, and the keys of the tokens in mailed links.

use super::{Context, print};
use crate::app::{self, Purpose, World, new_token, new_token_key};
use crate::domain::ids;
use crate::store::token_keys;

/// What is done with tokens.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Draws a bearer token for a publisher and prints it once, with the lines for the configuration, which hold its hash.
    New {
        /// A name for logs.
        name: String,
        /// The source whose posts it publishes; may be left out when there is only one.
        #[arg(long)]
        source: Option<String>,
    },
    /// Lists the keys that sign the links in mails, without their secrets.
    Keys,
    /// Adds a new key for the links in mails. Links in old mails keep working.
    Rotate,
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    match command {
        Command::New { name, source } => new(&name, source.as_deref(), &context),
        Command::Keys => keys(context).await,
        Command::Rotate => rotate(context).await,
    }
}

fn new(name: &str, source: Option<&str>, context: &Context) -> anyhow::Result<()> {
    let source = super::post::source_of(&context.config, source)?;
    let taken = context.config.file.intake.token.iter().any(|token| token.name == name);
    anyhow::ensure!(!taken, "an [[intake.token]] has the name `{name}` already");
    let token = new_token(&World::system());
    let sha256 = ids::content_hash(token.as_bytes());
    if context.json {
        return print::json(&serde_json::json!({ "name": name, "source": source, "token": token, "sha256": sha256 }));
    }
    eprintln!("The token, shown only now; give it to the publisher:");
    print::line(&token);
    eprintln!("\nFor the configuration, which needs only its hash; then restart allim:");
    let quoted = toml::Value::String(name.to_owned());
    print::line(format!("\n[[intake.token]]\nname = {quoted}\nsha256 = \"{sha256}\"\nsource = \"{source}\""));
    Ok(())
}

async fn keys(context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    let keys = app.store.read(token_keys::all).await?;
    if json {
        let row = |key: &token_keys::TokenKey| serde_json::json!({ "id": key.id, "created_at": key.created_at });
        return print::json(&keys.iter().map(row).collect::<Vec<_>>());
    }
    let newest = keys.len().saturating_sub(1);
    let row = |(index, key): (usize, &token_keys::TokenKey)| {
        let role = if index == newest { "signs and verifies" } else { "verifies" };
        vec![key.id.clone(), print::at(key.created_at, &app.config.zone), role.to_owned()]
    };
    print::table(&["key", "since", "for new mail"], keys.iter().enumerate().map(row));
    Ok(())
}

async fn rotate(context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    let key = new_token_key(&app.world);
    let id = key.id.clone();
    app.store.write(move |tx| token_keys::insert(tx, &key)).await?;
    if json {
        return print::json(&serde_json::json!({ "id": id }));
    }
    print::line(format!(
        "the key {id} signs mail that is planned from now on; a running allim takes it up within seconds"
    ));
    Ok(())
}
