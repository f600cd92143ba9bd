//! 3 · What it LOOKS like: an edition and a recipient become a message. Pure: no I/O but [`templates::Templates::load`],
//! no clock, no knowledge of stores, carriers or the network.

pub mod admin;
pub mod blurb;
pub mod body;
pub mod calendar;
pub mod dkim;
mod entry;
pub mod event;
pub mod feed;
pub mod fit;
mod header;
pub mod letter;
pub mod logo;
pub mod mail;
pub mod page;
mod part;
pub mod pieces;
mod plain_text;
mod pseudo_tags;
pub mod service;
pub mod share;
pub mod site;
pub mod templates;
pub mod theme;
pub mod words;

/// Why something can't be rendered. Names templates, lines, variables and fields, never an address or a body.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template is wrong, or asks for something that isn't there.
    #[error("template `{template}`, line {line}: {reason}")]
    Template {
        /// Its file name.
        template: String,
        /// Line, from 1; 0 where the whole template is meant.
        line: usize,
        /// What is wrong, with the expression as the template spells it.
        reason: String,
    },
    /// The operator's template folder or a file in it can't be read.
    #[error("template folder: `{name}` can't be read: {reason}")]
    Unreadable {
        /// File or folder.
        name: String,
        /// Why.
        reason: String,
    },
    /// A value can't stand where it should.
    #[error("`{field}` can't stand in a mail: {reason}")]
    Field {
        /// Which value.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A post can't be said at a network.
    #[error("it can't be said: {0}")]
    Unfit(String),
    /// An edition without posts makes no mail.
    #[error("the edition holds no post")]
    Empty,
    /// The letter is made, and its sender wants it signed.
    #[error("the letter couldn't be signed")]
    Unsigned,
}
