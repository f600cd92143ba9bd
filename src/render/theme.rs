//! How an institution's pages look: its colours, which are refused where somebody couldn't read them, its logo, and what stands
//! at the foot.

mod colour;

use super::logo::Logo;
use super::site::LocalText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use colour::Colour;

/// The least contrast of text of any size against what is behind it (WCAG 2.2, success criterion 1.4.3, level AA).
const CONTRAST_MIN: f64 = 4.5;
/// Longest text at the foot in one language, in characters: it is repeated on every page.
const FOOTER_LEN_MAX: usize = 1_000;

/// `[site.theme]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThemeTable {
    /// A picture at the head of each page.
    pub logo: Option<PathBuf>,
    /// Another one for dark screens.
    pub logo_dark: Option<PathBuf>,
    /// What the logo shows, for those who can't see it.
    pub logo_alt: Option<LocalText>,
    /// Whether the name stands beside the logo; none: it does.
    pub show_name: Option<bool>,
    /// What stands at the foot of each page.
    pub footer: Option<LocalText>,
    /// Colours where screens are light.
    pub light: ColourTable,
    /// Colours where screens are dark.
    pub dark: ColourTable,
}

/// `[site.theme.light]`, `[site.theme.dark]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColourTable {
    /// Links, buttons and marks.
    pub accent: Option<String>,
    /// Text.
    pub ink: Option<String>,
    /// Dates and other small print.
    pub faint: Option<String>,
    /// Behind the text.
    pub paper: Option<String>,
    /// Behind the sheet.
    pub ground: Option<String>,
    /// Behind what is set apart.
    pub panel: Option<String>,
    /// Lines.
    pub rule: Option<String>,
}

/// What is wrong with a theme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTheme {
    /// The key below `site.theme`, such as `dark.accent`.
    pub field: String,
    /// What would be right.
    pub reason: String,
}

/// How pages look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours where screens are light.
    pub light: Palette,
    /// Colours where screens are dark.
    pub dark: Palette,
    /// The picture at the head, and the one for dark screens.
    pub logo: Option<Logo>,
    /// As told.
    pub logo_dark: Option<Logo>,
    /// What the logo shows.
    pub logo_alt: Option<LocalText>,
    /// Whether the name stands beside it.
    pub show_name: bool,
    /// What stands at the foot.
    pub footer: Option<LocalText>,
}

impl Theme {
    /// Reads a table. The pictures are read by whoever may open files.
    ///
    /// # Errors
    /// [`BadTheme`] for the first colour that is none or can't be read on what is behind it.
    pub fn read(table: &ThemeTable) -> Result<Self, BadTheme> {
        if let Some(footer) = &table.footer
            && footer.texts().any(|text| text.chars().count() > FOOTER_LEN_MAX)
        {
            let reason = format!("write at most {FOOTER_LEN_MAX} characters");
            return Err(BadTheme { field: "footer".to_owned(), reason });
        }
        if table.logo.is_none() && table.logo_dark.is_some() {
            let reason = "stands in for `logo` on dark screens, so that is needed too".to_owned();
            return Err(BadTheme { field: "logo_dark".to_owned(), reason });
        }
        Ok(Self {
            light: Palette::read("light", &table.light, Palette::LIGHT)?,
            dark: Palette::read("dark", &table.dark, Palette::DARK)?,
            logo: None,
            logo_dark: None,
            logo_alt: table.logo_alt.clone(),
            show_name: table.show_name.unwrap_or(true),
            footer: table.footer.clone(),
        })
    }

    /// The picture for browsers' tabs: the logo, or ours.
    #[must_use]
    pub fn icon(&self) -> Option<Logo> {
        let ours = || Logo::read(board(self.light.accent, self.light.on_accent).into_bytes()).ok();
        self.logo.clone().or_else(ours)
    }
}

/// A board with a notice on it, in the accent's colour: for browsers' tabs where there is no logo, so that they needn't ask in vain.
fn board(accent: Colour, on_accent: Colour) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" rx=\"7\" fill=\"{accent}\"/>\
         <path d=\"M9 11h14M9 16h14M9 21h8\" stroke=\"{on_accent}\" stroke-width=\"2.6\" stroke-linecap=\"round\"/></svg>"
    )
}

/// The colours of pages on one kind of screen; `page.css` is given them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Palette {
    accent: Colour,
    ink: Colour,
    faint: Colour,
    paper: Colour,
    ground: Colour,
    panel: Colour,
    rule: Colour,
    /// Text on a button of the accent's colour: chosen here, as there is only one good choice.
    on_accent: Colour,
}

impl Palette {
    const LIGHT: Self = Self {
        accent: Colour::new([0x1b, 0x5a, 0xa6]),
        ink: Colour::new([0x1c, 0x24, 0x30]),
        faint: Colour::new([0x5a, 0x65, 0x73]),
        paper: Colour::WHITE,
        ground: Colour::new([0xf3, 0xf5, 0xf8]),
        panel: Colour::new([0xf2, 0xf6, 0xfb]),
        rule: Colour::new([0xd8, 0xde, 0xe6]),
        on_accent: Colour::WHITE,
    };
    const DARK: Self = Self {
        accent: Colour::new([0x8c, 0xbc, 0xff]),
        ink: Colour::new([0xe7, 0xea, 0xef]),
        faint: Colour::new([0xa7, 0xb0, 0xbd]),
        paper: Colour::new([0x1b, 0x20, 0x27]),
        ground: Colour::new([0x12, 0x15, 0x1a]),
        panel: Colour::new([0x24, 0x2b, 0x35]),
        rule: Colour::new([0x32, 0x3a, 0x46]),
        on_accent: Colour::new([0x10, 0x15, 0x1c]),
    };

    /// What is behind the page: browsers may give their own edges this colour.
    #[must_use]
    pub fn ground(&self) -> Colour {
        self.ground
    }

    fn read(scheme: &str, table: &ColourTable, default: Self) -> Result<Self, BadTheme> {
        let colour = |field: &str, text: &Option<String>, default: Colour| match text {
            None => Ok(default),
            Some(text) => Colour::parse(text).ok_or_else(|| BadTheme {
                field: format!("{scheme}.{field}"),
                reason: format!("`{text}` is no colour; write it as `{default}`: # and six hexadecimal digits"),
            }),
        };
        let accent = colour("accent", &table.accent, default.accent)?;
        let read = Self {
            accent,
            ink: colour("ink", &table.ink, default.ink)?,
            faint: colour("faint", &table.faint, default.faint)?,
            paper: colour("paper", &table.paper, default.paper)?,
            ground: colour("ground", &table.ground, default.ground)?,
            panel: colour("panel", &table.panel, default.panel)?,
            rule: colour("rule", &table.rule, default.rule)?,
            on_accent: on(accent),
        };
        read.must_be_readable(scheme, table)?;
        Ok(read)
    }

    /// Each colour of text stands on each of the others somewhere.
    fn must_be_readable(&self, scheme: &str, table: &ColourTable) -> Result<(), BadTheme> {
        let texts = [
            ("accent", self.accent, table.accent.is_some()),
            ("ink", self.ink, table.ink.is_some()),
            ("faint", self.faint, table.faint.is_some()),
        ];
        let behind = [("paper", self.paper), ("ground", self.ground), ("panel", self.panel)];
        for (name, text, is_own) in texts {
            for (below, back) in behind {
                let contrast = text.contrast(back);
                if contrast >= CONTRAST_MIN {
                    continue;
                }
                // Whichever the operator wrote is theirs to change; where both, the text.
                let (field, wrong, fits): (_, _, &dyn Fn(Colour) -> bool) = if is_own {
                    (name, text, &|one: Colour| behind.iter().all(|(_, back)| one.contrast(*back) >= CONTRAST_MIN))
                } else {
                    (below, back, &|one: Colour| texts.iter().all(|(_, text, _)| text.contrast(one) >= CONTRAST_MIN))
                };
                let fix = match wrong.nearest(fits) {
                    Some(fix) => format!("write `{fix}`, the nearest that has it, or change the others too"),
                    None => format!("no shade of it has that with the others; change `{name}` and `{below}` together"),
                };
                // Rounded down, so that no 4.499 is told as the 4.5 that it lacks.
                let contrast = (contrast * 100.0).floor() / 100.0;
                let reason = format!(
                    "`{name}` ({text}) on `{below}` ({back}) has a contrast of {contrast} : 1, and many can't read below \
                     {CONTRAST_MIN} : 1 (WCAG AA); {fix}"
                );
                return Err(BadTheme { field: format!("{scheme}.{field}"), reason });
            }
        }
        Ok(())
    }
}

/// What is read best on a colour.
fn on(accent: Colour) -> Colour {
    let softer = [Colour::WHITE, Palette::DARK.on_accent];
    softer.into_iter().find(|text| text.contrast(accent) >= CONTRAST_MIN).unwrap_or(Colour::BLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Theme, BadTheme> {
        Theme::read(&toml::from_str(text).expect("a table"))
    }

    #[test]
    fn our_own_colours_are_readable() {
        let theme = read("").expect("a theme");
        assert_eq!((theme.light, theme.dark), (Palette::LIGHT, Palette::DARK));
        assert!(theme.show_name && theme.logo.is_none());
        assert!(theme.icon().is_some_and(|icon| icon.size == (32, 32)), "our own icon is one that we would take");
    }

    #[test]
    fn the_text_on_buttons_follows_the_accent() {
        let on = |accent: &str| on(Colour::parse(accent).expect("a colour")).to_string();
        assert_eq!(
            (on("#1b5aa6").as_str(), on("#8cbcff").as_str(), on("#777777").as_str()),
            ("#ffffff", "#10151c", "#000000")
        );
        for step in 0..=255u8 {
            let grey = Colour::new([step; 3]);
            assert!(super::on(grey).contrast(grey) >= CONTRAST_MIN, "{grey}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_can() {
        for (table, field, told) in [
            ("[light]\naccent = \"red\"", "light.accent", "six hexadecimal digits"),
            ("[light]\naccent = \"#12345\"", "light.accent", "#1b5aa6"),
            ("[light]\nrule = \"#12345é\"", "light.rule", "six hexadecimal digits"),
            ("[light]\naccent = \"#66aaff\"", "light.accent", "(WCAG AA); write `#"),
            ("[dark]\naccent = \"#1b5aa6\"", "dark.accent", "on `paper` (#1b2027)"),
            ("[dark]\npaper = \"#ffffff\"", "dark.paper", "`accent` (#8cbcff) on `paper` (#ffffff)"),
            ("[light]\nfaint = \"#999999\"\npaper = \"#eeeeee\"", "light.faint", "`faint` (#999999)"),
            ("logo_dark = \"b.svg\"", "logo_dark", "`logo`"),
        ] {
            let bad = read(table).expect_err(table);
            assert!(bad.field == field && bad.reason.contains(told), "{table}: {bad:?}");
        }
        let long = format!("footer = \"{}\"", "가".repeat(1_001));
        assert_eq!(read(&long).expect_err("too long").field, "footer");
    }

    #[test]
    fn the_colour_that_is_proposed_is_taken() {
        for (scheme, accent) in [("light", "#66aaff"), ("light", "#ffcc00"), ("dark", "#1b5aa6"), ("dark", "#8a0000")] {
            let of = |accent: &str| read(&format!("[{scheme}]\naccent = \"{accent}\""));
            let bad = of(accent).expect_err(accent);
            let fix = bad.reason.split("write `").nth(1).and_then(|rest| rest.split('`').next()).expect("a fix");
            assert!(of(fix).is_ok(), "{accent}: {bad:?}");
        }
    }
}
