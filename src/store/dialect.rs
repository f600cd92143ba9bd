//! What really differs between the two databases: a handful of marks in the SQL text, expanded once per statement.
//!
//! | mark | SQLite | PostgreSQL |
//! |---|---|---|
//! | `{rows $1: a int, b text}` | a table made from the JSON array of objects in `$1` | the same |
//! | `{list $1: int}` | a one-column table made from the JSON array in `$1` | the same |
//! | `{each $1: int, text}` | `VALUES (?1, ?2)`, run once per row | one row of columns for each array in the JSON array `$1` |
//! | `{for update}` | nothing: there is one writer | `FOR UPDATE` |
//! | `{skip locked}` | nothing | `FOR UPDATE SKIP LOCKED` |
//! | `{share p}` | nothing | `FOR SHARE OF p` |
//! | `{lock b}` | nothing | `FOR UPDATE OF b` |
//! | `{array t.name}` | a JSON array of the column's values in a group | the same |
//! | `{without rowid}` | `WITHOUT ROWID` | nothing |
//! | `{bytewise}` | nothing: texts are compared so | `COLLATE "C"` |
//! | `{postgres only}` | the statement of a migration is left out | nothing |
//! | `$1` | `?1` | `$1` |

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    /// The statement as this database understands it.
    #[must_use]
    pub fn expand(self, sql: &str) -> String {
        let mut out = String::with_capacity(sql.len() + 64);
        let mut rest = sql;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else { break };
            out.push_str(&rest[..open]);
            out.push_str(&self.mark(&rest[open + 1..open + close]));
            rest = &rest[open + close + 1..];
        }
        out.push_str(rest);
        match self {
            Self::Sqlite => out.replace('$', "?"),
            Self::Postgres => out,
        }
    }

    fn mark(self, mark: &str) -> String {
        let fixed = |postgres: &str| if self == Self::Postgres { postgres.to_owned() } else { String::new() };
        match mark.split_once(' ') {
            Some(("rows", spec)) => self.rows(spec),
            Some(("list", spec)) => self.list(spec),
            Some(("each", spec)) => self.each(spec),
            Some(("array", column)) => match self {
                Self::Sqlite => format!("json_group_array({column})"),
                Self::Postgres => format!("CAST(json_agg({column}) AS TEXT)"),
            },
            Some(("share", table)) => fixed(&format!("FOR SHARE OF {table}")),
            Some(("lock", table)) => fixed(&format!("FOR UPDATE OF {table}")),
            _ if mark == "bytewise" => fixed("COLLATE \"C\""),
            _ if mark == "postgres only" => String::new(),
            _ if mark == "for update" => fixed("FOR UPDATE"),
            _ if mark == "skip locked" => fixed("FOR UPDATE SKIP LOCKED"),
            _ if mark == "without rowid" && self == Self::Sqlite => "WITHOUT ROWID".to_owned(),
            _ if mark == "without rowid" => String::new(),
            _ => format!("{{unknown mark {mark}}}"),
        }
    }

    fn rows(self, spec: &str) -> String {
        let (parameter, columns) = spec.split_once(':').unwrap_or((spec, ""));
        let columns = columns.split(',').filter_map(|column| column.trim().split_once(' '));
        match self {
            Self::Sqlite => {
                let columns: Vec<_> = columns.map(|(name, _)| format!("value ->> '{name}' AS {name}")).collect();
                format!("(SELECT {} FROM json_each({parameter}))", columns.join(", "))
            }
            Self::Postgres => {
                let columns: Vec<_> = columns.map(|(name, kind)| format!("{name} {}", postgres_type(kind))).collect();
                format!("(SELECT * FROM jsonb_to_recordset({parameter}::text::jsonb) AS t({}))", columns.join(", "))
            }
        }
    }

    fn each(self, spec: &str) -> String {
        let (parameter, kinds) = spec.split_once(':').unwrap_or((spec, ""));
        let kinds = kinds.split(',').map(str::trim).enumerate();
        match self {
            Self::Sqlite => {
                let places: Vec<_> = kinds.map(|(index, _)| format!("?{}", index + 1)).collect();
                format!("VALUES ({})", places.join(", "))
            }
            Self::Postgres => {
                let column = |(index, kind)| format!("CAST(row ->> {index} AS {})", postgres_type(kind));
                let columns: Vec<_> = kinds.map(column).collect();
                format!("SELECT {} FROM jsonb_array_elements({parameter}::text::jsonb) AS t(row)", columns.join(", "))
            }
        }
    }

    fn list(self, spec: &str) -> String {
        let (parameter, kind) = spec.split_once(':').unwrap_or((spec, "text"));
        match self {
            Self::Sqlite => format!("(SELECT value FROM json_each({parameter}))"),
            Self::Postgres => {
                let kind = postgres_type(kind.trim());
                format!("(SELECT value::{kind} FROM jsonb_array_elements_text({parameter}::text::jsonb) AS t(value))")
            }
        }
    }
}

fn postgres_type(kind: &str) -> &'static str {
    match kind.trim() {
        "int" => "bigint",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_each_databases_own() {
        let sql = "UPDATE d SET x = b.x FROM {rows $1: p int, x text} b WHERE d.p = b.p AND d.q IN {list $2: int} {for update}";
        assert_eq!(
            Dialect::Sqlite.expand(sql),
            "UPDATE d SET x = b.x FROM (SELECT value ->> 'p' AS p, value ->> 'x' AS x FROM json_each(?1)) b WHERE d.p = b.p AND d.q IN (SELECT value FROM json_each(?2)) "
        );
        assert_eq!(
            Dialect::Postgres.expand(sql),
            "UPDATE d SET x = b.x FROM (SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS t(p bigint, x text)) b WHERE d.p = b.p AND d.q IN (SELECT value::bigint FROM jsonb_array_elements_text($2::text::jsonb) AS t(value)) FOR UPDATE"
        );
        let sql = "INSERT INTO d (p, x) {each $1: int, text}";
        assert_eq!(Dialect::Sqlite.expand(sql), "INSERT INTO d (p, x) VALUES (?1, ?2)");
        assert_eq!(
            Dialect::Postgres.expand(sql),
            "INSERT INTO d (p, x) SELECT CAST(row ->> 0 AS bigint), CAST(row ->> 1 AS text) FROM jsonb_array_elements($1::text::jsonb) AS t(row)"
        );
    }
}
