//! Announcements put words in angle brackets, such as `<상세문의>` or `<Contact>`. An HTML parser swallows what
//! looks like a tag; here such words are told from tags and kept.

use std::collections::HashSet;

/// Longest stretch, in octets, between `<` and `>` that is looked at: a heading in brackets is short, and without
/// a bound a body of nothing but `<a` would cost quadratic time.
const BRACKET_LEN_MAX: usize = 200;

/// Deepest nesting that is believed. Real announcements stay below 50; the parser's time grows with text times depth.
const NESTING_MAX: usize = 300;

/// Escapes the `<` of everything that isn't a tag: names that HTML doesn't know (unless they hold `:` or `-`, as
/// the markup of office programs and custom elements does, or come with an attribute), closing tags whose name
/// doesn't begin with an ASCII letter (a parser would take them for comments), a bracket that is never closed
/// (a parser would swallow the rest), and elements nested deeper than [`NESTING_MAX`]. What comes out is as unsafe
/// as what went in and still needs the allow-list.
pub(super) fn keep(html: &str) -> String {
    let closed_until = html.rfind('>').unwrap_or(0);
    let mut out = String::with_capacity(html.len() + 16);
    let mut depth = 0_usize;
    let mut words = HashSet::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, bracket) = rest.split_at(at);
        out.push_str(before);
        rest = &bracket[1..];
        let position = html.len() - bracket.len();
        let found = if position < closed_until { bracket_of(rest, &mut words) } else { Bracket::Text };
        depth = match found {
            Bracket::Open if depth <= NESTING_MAX => depth + 1,
            Bracket::Close => depth.saturating_sub(1),
            _ => depth,
        };
        let is_text = found == Bracket::Text || (found == Bracket::Open && depth > NESTING_MAX);
        out.push_str(if is_text { "&lt;" } else { "<" });
    }
    out.push_str(rest);
    out
}

/// What a `<` begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// Words.
    Text,
    /// An element that holds others until it is closed.
    Open,
    /// The end of one.
    Close,
    /// Markup that nests nothing: comments, empty elements, and those that the next of their kind closes.
    Flat,
}

/// What a parser should take what follows a `<` for. `words` are the names that were taken for words so far: what
/// closes one of them is a word too.
fn bracket_of(after: &str, words: &mut HashSet<String>) -> Bracket {
    if after.starts_with(['!', '?']) {
        return Bracket::Flat;
    }
    let named = after.strip_prefix('/').unwrap_or(after);
    if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Bracket::Text;
    }
    let is_name = |c: char| !c.is_ascii_whitespace() && c != '/' && c != '>';
    let name_end = named.find(|c| !is_name(c)).unwrap_or(named.len());
    let name = named[..name_end].to_ascii_lowercase();
    let end = named.bytes().take(BRACKET_LEN_MAX).position(|byte| byte == b'>');
    let is_foreign = name.is_ascii() && name.contains([':', '-']);
    let has_attribute = end.is_none_or(|end| named[..end].contains('='));
    let is_close = named.len() < after.len();
    if !is_foreign && !is_element(&name) {
        let is_word = if is_close { words.contains(&name) } else { !has_attribute };
        if is_word {
            words.insert(name);
            return Bracket::Text;
        }
    }
    match (is_close, FLAT.split_ascii_whitespace().any(|flat| flat == name)) {
        (_, true) => Bracket::Flat,
        (true, false) => Bracket::Close,
        (false, false) => Bracket::Open,
    }
}

fn is_element(name: &str) -> bool {
    ELEMENTS.split_ascii_whitespace().any(|element| element == name)
}

/// Elements that are empty, or that HTML lets the next of their kind close.
const FLAT: &str = "area base br col embed hr img input link meta param source track wbr p li dt dd td th tr tbody thead \
     tfoot colgroup option optgroup rb rt rp rtc";

/// The elements of HTML, past ones included, and those of SVG and MathML that come without attributes.
const ELEMENTS: &str = "a abbr acronym address animate annotation applet area article aside audio b base basefont bdi \
     bdo bgsound big blink blockquote body br button canvas caption center circle cite clippath code col colgroup \
     command content data datalist dd defs del desc details dfn dialog dir div dl dt element ellipse em embed fieldset \
     figcaption figure filter font footer foreignobject form frame frameset g h1 h2 h3 h4 h5 h6 head header hgroup hr \
     html i iframe image img input ins isindex kbd keygen label legend li line link listing main map mark marquee mask \
     math menu menuitem meta metadata meter mfrac mi mn mo mrow msqrt msub msup mtable mtd mtext mtr multicol nav \
     nextid nobr noembed noframes noscript object ol optgroup option output p param path pattern picture plaintext \
     polygon polyline portal pre progress q rb rect rp rt rtc ruby s samp script search section select semantics \
     shadow slot small source spacer span stop strike strong style sub summary sup svg switch symbol table tbody td \
     template text textarea textpath tfoot th thead time title tr track tspan tt u ul use var video view wbr xml xmp";
