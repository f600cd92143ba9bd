//! `allim staff`: who may come into the control room.

use super::{Context, audit, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::audit::Subject;
use crate::domain::staff::{Role, name, secret_hash};
use crate::store::staff::{self, Changed, Person};
use crate::store::{Tx, audit as acts};
use anyhow::Context as _;
use std::time::Duration;

/// How long a link lives.
const LINK_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What is done with those who work in the control room.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Adds somebody and prints the link by which they come in, once, within 24 hours.
    Add {
        /// The name by which they sign in.
        name: String,
        /// What they may do: viewer, editor, operator or owner.
        #[arg(long, value_parser = role, default_value = "viewer")]
        role: Role,
    },
    /// Lists everybody.
    List,
    /// Prints a new link for somebody; an older one ends.
    Link {
        /// Their name.
        name: String,
    },
    /// Gives somebody another role.
    Role {
        /// Their name.
        name: String,
        /// What they may do: viewer, editor, operator or owner.
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Ends somebody's access.
    End {
        /// Their name.
        name: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    let known = Role::ALL.map(Role::word).join(", ");
    Role::from_word(text).ok_or_else(|| format!("there are the roles {known}"))
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::Add { name, role } => add(&app, &name, role, json).await,
        Command::List => list(&app, json).await,
        Command::Link { name } => link(&app, &name, json).await,
        Command::Role { name, role } => change(&app, &name, Some(role)).await,
        Command::End { name } => change(&app, &name, None).await,
    }
}

async fn add(app: &App, text: &str, role: Role, json: bool) -> anyhow::Result<()> {
    let (name, now) = (name(text)?, app.store.now().await?);
    let (secret, id) = (app::new_secret(&app.world), app.world.chance.draw_id());
    let hash = secret_hash(&secret);
    let entry = audit::entry(app, "staff_add", Subject::staff(id), serde_json::json!({ "role": role.word() }), now);
    let asked = name.clone();
    let job = move |tx: &mut Tx<'_>| {
        let Some(id) = staff::add(tx, id, &asked, role, now)? else { return Ok(false) };
        staff::add_link(tx, &hash, id, now.plus(LINK_AGE_MAX))?;
        acts::note(tx, &acts::Entry { subject: Subject::staff(id), ..entry.clone() })?;
        Ok(true)
    };
    anyhow::ensure!(
        app.store.write(job).await?,
        "`{name}` is here already; `allim staff link {name}` prints a new link"
    );
    show_link(app, &name, &secret, json)
}

async fn link(app: &App, name: &str, json: bool) -> anyhow::Result<()> {
    let person = find(app, name).await?;
    let (secret, now) = (app::new_secret(&app.world), app.store.now().await?);
    let hash = secret_hash(&secret);
    let entry = audit::entry(app, "staff_link", Subject::staff(person.id), serde_json::json!({}), now);
    let job = move |tx: &mut Tx<'_>| {
        staff::add_link(tx, &hash, person.id, now.plus(LINK_AGE_MAX))?;
        acts::note(tx, &entry)
    };
    app.store.write(job).await?;
    show_link(app, name, &secret, json)
}

fn show_link(app: &App, name: &str, secret: &str, json: bool) -> anyhow::Result<()> {
    let room = app.config.control_room.as_ref();
    let base = room.map(|(address, settings)| settings.url.clone().unwrap_or_else(|| format!("http://{address}")));
    let path = format!("/admin/link/{secret}");
    if json {
        return print::json(&serde_json::json!({ "name": name, "url": base.map(|base| base + &path), "path": path }));
    }
    if base.is_none() {
        eprintln!("There is no control room yet: set [admin] listen. The link goes behind its address.");
    }
    eprintln!("The link for {name}, shown only now; it lets in once, within 24 hours:");
    print::line(base.unwrap_or_default() + &path);
    Ok(())
}

async fn find(app: &App, name: &str) -> anyhow::Result<Person> {
    let asked = name.trim().to_owned();
    let person = app.store.read(move |tx| staff::by_name(tx, &asked)).await?;
    person
        .filter(|person| person.ended_at.is_none())
        .with_context(|| format!("there is nobody called `{name}`; see `allim staff list`"))
}

/// Gives another role, or ends access.
async fn change(app: &App, name: &str, role: Option<Role>) -> anyhow::Result<()> {
    let (person, now) = (find(app, name).await?, app.store.now().await?);
    let (act, detail) = match role {
        Some(role) => ("staff_role", serde_json::json!({ "role": role.word() })),
        None => ("staff_end", serde_json::json!({})),
    };
    let entry = audit::entry(app, act, Subject::staff(person.id), detail, now);
    let job = move |tx: &mut Tx<'_>| {
        let changed = match role {
            Some(role) => staff::set_role(tx, person.id, role)?,
            None => staff::end(tx, person.id, now)?,
        };
        if changed == Changed::Done {
            acts::note(tx, &entry)?;
        }
        Ok(changed)
    };
    match app.store.write(job).await? {
        Changed::Done => Ok(()),
        Changed::Nobody => anyhow::bail!("`{name}` left meanwhile"),
        Changed::LastOwner => anyhow::bail!("`{name}` is the only owner; make somebody else an owner first"),
    }
}

async fn list(app: &App, json: bool) -> anyhow::Result<()> {
    let people = app.store.read(staff::all).await?;
    if json {
        let row = |person: &Person| {
            serde_json::json!({ "id": person.id, "name": person.name, "role": person.role, "created_at": person.created_at,
                "ended_at": person.ended_at, "has_password": person.password.is_some() })
        };
        return print::json(&people.iter().map(row).collect::<Vec<_>>());
    }
    let row = |person: Person| {
        let way = match (person.ended_at, &person.password) {
            (Some(at), _) => format!("left {}", print::at(at, &app.config.zone)),
            (None, Some(_)) => "password".to_owned(),
            (None, None) => "link".to_owned(),
        };
        vec![person.name, person.role.word().to_owned(), print::at(person.created_at, &app.config.zone), way]
    };
    print::table(&["name", "role", "since", "comes in by"], people.into_iter().map(row));
    Ok(())
}
