//! What each command does to what, as the audit tells it.

use crate::cli::{Command, account, delivery, digest, feed, hold, partner, post, quarantine, source, token, websub};
use crate::domain::audit::Subject;

/// What a command does.
pub(in crate::cli) struct Act {
    /// The word `act_…` of the control room's words.
    pub(super) act: &'static str,
    /// What it is done to.
    pub(super) on: Subject,
}

impl Act {
    fn on(act: &'static str, subject: Subject) -> Option<Self> {
        Some(Self { act, on: subject })
    }

    /// What a command changes; `None` for one that only looks, or whose rows tell who and when by themselves.
    pub(in crate::cli) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Post(command) => of_post(command),
            Command::Quarantine(quarantine::Command::Replay { id, .. }) => {
                Self::on("quarantine_replay", id.as_deref().map_or_else(Subject::none, Subject::quarantine))
            }
            // `allim subscriber` notes its acts in the transactions that do them.
            Command::Digest(digest::Command::Now { name }) => Self::on("digest_now", Subject::digest(name)),
            Command::Delivery(delivery::Command::Retry { id }) => {
                Self::on("delivery_retry", Subject::delivery(&id.to_string()))
            }
            Command::Delivery(delivery::Command::Settle { id, .. }) => {
                Self::on("delivery_settle", Subject::delivery(&id.to_string()))
            }
            Command::Feed(command) => of_feed(command),
            Command::Account(account::Command::Login { name }) => Self::on("account_login", Subject::account(name)),
            Command::Websub(websub::Command::Drop { id }) => Self::on("endpoint_drop", Subject::endpoint(*id)),
            Command::Source(source::Command::Pull { .. }) => Self::on("source_pull", Subject::none()),
            Command::Partner(command) => of_partner(command),
            Command::Hold { action: Some(action) } => of_hold(action),
            Command::Token(token::Command::Rotate) => Self::on("token_rotate", Subject::none()),
            Command::Backup { .. } => Self::on("backup", Subject::none()),
            _ => None,
        }
    }
}

fn of_post(command: &post::Command) -> Option<Act> {
    match command {
        post::Command::Release { id } => Act::on("post_release", Subject::post(id)),
        post::Command::Withdraw { id } => Act::on("post_withdraw", Subject::post(id)),
        post::Command::Correct { id, dry_run: false } => Act::on("post_correct", Subject::post(id)),
        post::Command::Import { .. } => Act::on("post_import", Subject::none()),
        _ => None,
    }
}

fn of_feed(command: &feed::Command) -> Option<Act> {
    let (act, name) = match command {
        feed::Command::Add { name, .. } => ("feed_add", name),
        feed::Command::Rotate { name } => ("feed_rotate", name),
        feed::Command::Revoke { name } => ("feed_revoke", name),
        feed::Command::List => return None,
    };
    Act::on(act, Subject { kind: "feed", id: name.clone() })
}

fn of_partner(command: &partner::Command) -> Option<Act> {
    let (act, name) = match command {
        partner::Command::Add { name, .. } => ("partner_add", name),
        partner::Command::Set { name, .. } => ("partner_set", name),
        partner::Command::Rotate { name, .. } => ("partner_rotate", name),
        partner::Command::Pause { name, .. } => ("partner_pause", name),
        partner::Command::Resume { name } => ("partner_resume", name),
        partner::Command::Replay { name, .. } => ("partner_replay", name),
        partner::Command::End { name, .. } => ("partner_end", name),
        partner::Command::List { .. } | partner::Command::Show { .. } | partner::Command::Test { .. } => return None,
    };
    Act::on(act, Subject::partner(name))
}

fn of_hold(action: &hold::Action) -> Option<Act> {
    match action {
        hold::Action::On { destination, .. } => {
            Act::on("freeze", Subject::hold(destination.as_deref().unwrap_or("all")))
        }
        hold::Action::Off { plan: Some(plan), .. } => Act::on("send_let_go", Subject::plan(plan)),
        hold::Action::Off { sent_until: None, resend: false, destination, .. } => {
            Act::on("thaw", Subject::hold(destination.as_deref().unwrap_or("all")))
        }
        hold::Action::Off { .. } => Act::on("doubt_end", Subject::hold("all")),
    }
}
