"""Feeds before readers that aren't ours: feedparser, fastfeedparser, sfeed, a JSON Feed schema, and what the W3C's feed validator
asks of RSS and Atom, which is no package: its rules in words of our own; calendars before icalendar. Reads {"feeds": [{url, kind,
ids, titles, hostile}], "calendars": [{url, ids}]} and prints what is wrong, one sentence each, as JSON. Every reader must find the
same entries, in their order."""

import email.utils
import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

import fastfeedparser
import feedparser
import icalendar
import jsonschema
from jsonfeedvalidator.schema import SCHEMA
from lxml import etree, html

ATOM = "{http://www.w3.org/2005/Atom}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
MEDIA = "{http://search.yahoo.com/mrss/}"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+$")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*$")
# Registered relations, and those of RFC 5005, which belong to the feed alone.
HISTORY = {"current", "next", "previous", "prev-archive", "next-archive"}
RELATIONS = {"alternate", "self", "via", "enclosure", "hub"} | HISTORY
# What it takes for safe in HTML, as far as we write it; and what makes it suspect HTML in a plain text.
ELEMENTS = set("a b blockquote br caption code dd div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img li ol p pre q s small "
               "span strong sub sup table tbody td tfoot th thead tr u ul".split())
ATTRIBUTES = set("align alt class colspan decoding dir height href hreflang lang loading rel rowspan scope src start title "
                 "type width".split())
MARKUP = re.compile(r"</?(a|b|br|div|em|i|img|p|script|span|strong|table|ul)[\s>/]")


class Faults(list):
    """What is wrong with one feed."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def ask(self, holds, told):
        if not holds:
            self.append(f"{self.where}: {told}")


def entries(faults, reader, found, feed):
    faults.ask([one[0] for one in found] == feed["ids"], f"{reader} finds other entries: {[one[0] for one in found]}")
    faults.ask([one[1] for one in found] == feed["titles"], f"{reader} finds other titles: {[one[1] for one in found]}")


def by_feedparser(faults, feed, text):
    read = feedparser.parse(text)
    faults.ask(not read.bozo, f"feedparser: {read.get('bozo_exception')}")
    faults.ask(read.version == {"rss": "rss20", "atom": "atom10"}[feed["kind"]], f"feedparser takes it for {read.version}")
    entries(faults, "feedparser", [(one.id, one.title) for one in read.entries], feed)
    for one in read.entries:
        told = one.get("link") and one.get("published_parsed") and one.get("content")
        faults.ask(told, f"feedparser misses link, date or content of {one.id}")
        files = [file for file in one.get("enclosures", []) if not (file.get("href") and file.get("type"))]
        faults.ask(not files, f"feedparser misses address or type of a file of {one.id}")


def by_fastfeedparser(faults, feed, text):
    read = fastfeedparser.parse(text.decode())
    entries(faults, "fastfeedparser", [(one.id, one.title) for one in read.entries], feed)
    faults.ask(all(one.get("published") and one.get("link") for one in read.entries), "fastfeedparser misses dates or links")


def by_sfeed(faults, feed, text):
    ran = subprocess.run(["sfeed", "http://nowhere.invalid/"], input=text, capture_output=True)
    faults.ask(ran.returncode == 0 and not ran.stderr, f"sfeed: {ran.stderr.decode()}")
    lines = [line.split("\t") for line in ran.stdout.decode().splitlines()]
    # Time, title, link, content, its type, id, author, enclosure, categories. It folds blanks in titles.
    faults.ask([line[5] for line in lines] == feed["ids"], f"sfeed finds other entries: {[line[5] for line in lines]}")
    folded = [re.sub(r"\s+", " ", title).strip() for title in feed["titles"]]
    faults.ask([line[1] for line in lines] == folded, f"sfeed finds other titles: {[line[1] for line in lines]}")
    faults.ask(all(line[0] and line[2] and line[3] and line[4] == "html" for line in lines), "sfeed misses dates, links or contents")


def json_schema():
    """It describes version 1; 1.1 added an array of authors and a language (https://www.jsonfeed.org/version/1.1/)."""
    authors = {"type": "array", "items": SCHEMA["definitions"]["author"], "minItems": 1}
    for place in (SCHEMA, SCHEMA["definitions"]["item"]):
        place["properties"] |= {"authors": authors, "language": {"type": "string", "pattern": LANGUAGE.pattern}}
    return jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def by_json_schema(faults, feed, text):
    read = json.loads(text)
    for error in json_schema().iter_errors(read):
        faults.append(f"{faults.where}: JSON Feed's schema: {list(error.path)}: {error.message[:200]}")
    faults.ask(read["version"] == "https://jsonfeed.org/version/1.1", "its version is another")
    faults.ask(read["feed_url"] == feed["url"] and read.get("next_url") != feed["url"], "feed_url and next_url")
    for item in read["items"]:
        instant(faults, item["date_published"])
        instant(faults, item["date_modified"])
        safe_html(faults, item["id"], item["content_html"])
    entries(faults, "JSON", [(item["id"], item["title"]) for item in read["items"]], feed)


def instant(faults, text):
    """RFC 3339, and a year that can be meant."""
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        plausible(faults, at, text)
    except ValueError:
        faults.append(f"{faults.where}: no date: {text}")


def plausible(faults, at, text):
    soon = datetime.now(timezone.utc) + timedelta(minutes=10)
    faults.ask(at.tzinfo is not None and datetime(1990, 1, 1, tzinfo=timezone.utc) <= at <= soon, f"an implausible date: {text}")


def mail_date(faults, text):
    """RFC 822 with a year of four digits and the right day of the week."""
    at = email.utils.parsedate_to_datetime(text)
    faults.ask(email.utils.format_datetime(at.astimezone(timezone.utc)) == text, f"no date of RFC 822: {text}")
    plausible(faults, at, text)


def safe_html(faults, entry, text):
    for element in html.fragment_fromstring(text, create_parent="div").iter():
        if not isinstance(element.tag, str):
            continue
        faults.ask(element.tag in ELEMENTS, f"{entry} holds <{element.tag}>")
        faults.ask(set(element.attrib) <= ATTRIBUTES, f"{entry}: <{element.tag}> has {sorted(element.attrib)}")
        for name in ("href", "src"):
            address = element.get(name)
            # A feed has no place of its own from which an address could be relative.
            faults.ask(address is None or re.match(r"(https?://|mailto:|tel:)", address), f"{entry}: {name}={address}")


def address(faults, text):
    """An absolute address (RFC 3986), all ASCII."""
    parts = urllib.parse.urlsplit(text)
    faults.ask(parts.scheme in ("http", "https") and parts.netloc and text.isascii() and not re.search(r'[\s<>"{}|\\^`]', text),
               f"no address: {text}")


def plain(faults, name, text, hostile):
    """Titles aren't HTML. Those of posts that hold markup as their text are what they are."""
    faults.ask(text and text.strip(), f"{name} is blank")
    faults.ask(hostile or not MARKUP.search(text or ""), f"{name} looks like HTML: {text}")


def media(faults, entry):
    for one in entry.findall(f"{MEDIA}content"):
        address(faults, one.get("url"))
        faults.ask(one.get("type") is None or MEDIA_TYPE.match(one.get("type")), "a medium's type")
        faults.ask(one.get("fileSize") is None or int(one.get("fileSize")) > 0, "a medium's size")
        faults.ask(one.get("medium") in ("image", "audio", "video", "document"), "a medium's kind")
        faults.ask(all(len(one.findall(f"{MEDIA}{name}")) < 2 for name in ("title", "description")), "a medium's texts")


def by_rules_of_rss(faults, feed, text):
    channel = etree.fromstring(text).find("channel")
    names = [child.tag for child in channel]
    faults.ask(all(names.count(name) == 1 for name in ("title", "link", "description", "language")), "what a channel must have")
    items = channel.findall("item")
    faults.ask(not items or names.index("item") == len(names) - len(items), "something follows the items")
    own = [link.get("href") for link in channel.findall(f"{ATOM}link") if link.get("rel") == "self"]
    faults.ask(own == [feed["url"]], f"it says that it lies at {own}")
    links(faults, channel.findall(f"{ATOM}link"), RELATIONS)
    if channel.find("lastBuildDate") is not None:
        mail_date(faults, channel.findtext("lastBuildDate"))
    for item in items:
        guid, names = item.find("guid"), [child.tag for child in item]
        where = guid.text
        faults.ask(guid.get("isPermaLink") == "false" and guid.text.startswith("tag:"), f"{where}: guid")
        once = ("title", "link", "description", "guid", "pubDate", "enclosure", "author", CONTENT)
        faults.ask(all(names.count(name) < 2 for name in once), f"{where}: something twice")
        # RSS's author is a mail address; ours is dc:creator, and both would be too much.
        faults.ask("author" not in names, f"{where}: author")
        plain(faults, f"{where}: title", item.findtext("title"), feed["hostile"])
        faults.ask("description" in names and names.index("description") < names.index(CONTENT), f"{where}: no description first")
        for name in ("description", CONTENT):
            safe_html(faults, where, item.findtext(name))
        address(faults, item.findtext("link"))
        mail_date(faults, item.findtext("pubDate"))
        categories = [category.text for category in item.findall("category")]
        faults.ask(all(categories) and len(set(categories)) == len(categories), f"{where}: categories {categories}")
        for file in item.findall("enclosure"):
            address(faults, file.get("url"))
            faults.ask(int(file.get("length")) >= 0 and MEDIA_TYPE.match(file.get("type")), f"{where}: enclosure")
        media(faults, item)


def links(faults, found, allowed):
    for link in found:
        faults.ask(link.get("rel") in allowed, f"a link that is {link.get('rel')}")
        # What a hub is asked with says nothing of its type.
        is_typed = link.get("rel") == "hub" or MEDIA_TYPE.match(link.get("type") or "")
        faults.ask(is_typed and not link.get("title") == "", f"type or title of {link.get('href')}")
        faults.ask(link.get("hreflang") is None or LANGUAGE.match(link.get("hreflang")), f"language of {link.get('href')}")
        faults.ask(link.get("length") is None or int(link.get("length")) >= 0, f"length of {link.get('href')}")
        faults.ask(not len(link) and not (link.text or "").strip(), f"{link.get('href')} isn't empty")
        address(faults, link.get("href"))
    # RFC 4287, section 4.2.4: of alternates of one type and language, one.
    alternates = [(link.get("type"), link.get("hreflang")) for link in found if link.get("rel") == "alternate"]
    faults.ask(len(alternates) == len(set(alternates)), "alternates of one kind")


def by_rules_of_atom(faults, feed, text):
    root = etree.fromstring(text)
    for name in ("id", "title", "updated"):
        faults.ask(len(root.findall(ATOM + name)) == 1, f"{name} of the feed")
    faults.ask(LANGUAGE.match(root.get(XML_LANG)), "language of the feed")
    own = [link.get("href") for link in root.findall(f"{ATOM}link") if link.get("rel") == "self"]
    faults.ask(own == [feed["url"]], f"it says that it lies at {own}")
    links(faults, root.findall(f"{ATOM}link"), RELATIONS)
    if feed["ids"]:
        # Of one in which nothing ever stood, the date is that of the beginning of time: RFC 4287 wants one, and any other would move.
        instant(faults, root.findtext(f"{ATOM}updated"))
    ids = [entry.findtext(f"{ATOM}id") for entry in root.findall(f"{ATOM}entry")]
    # Two entries with one date of change, of which the validator warns, are two posts of one second: RFC 4287 has nothing against it.
    faults.ask(len(ids) == len(set(ids)), "an id stands twice")
    for entry in root.findall(f"{ATOM}entry"):
        where = entry.findtext(f"{ATOM}id")
        for name in ("id", "title", "updated", "published", "content"):
            faults.ask(len(entry.findall(ATOM + name)) == 1, f"{where}: {name}")
        # None where a post has no words; a summary is asked for only where the content isn't text (section 4.1.2).
        faults.ask(len(entry.findall(f"{ATOM}summary")) < 2, f"{where}: summary")
        faults.ask(entry.find(f"{ATOM}content").get("type") == "html", f"{where}: type of the content")
        plain(faults, f"{where}: title", entry.findtext(f"{ATOM}title"), feed["hostile"])
        safe_html(faults, where, entry.findtext(f"{ATOM}content"))
        links(faults, entry.findall(f"{ATOM}link"), RELATIONS - HISTORY - {"self"})
        instant(faults, entry.findtext(f"{ATOM}updated"))
        instant(faults, entry.findtext(f"{ATOM}published"))
        faults.ask(entry.findtext(f"{ATOM}published") <= entry.findtext(f"{ATOM}updated"), f"{where}: changed before it was there")
        names = [person.findtext(f"{ATOM}name") for person in entry.findall(f"{ATOM}author")]
        faults.ask(all(names), f"{where}: an author without a name")
        terms = [category.get("term") for category in entry.findall(f"{ATOM}category")]
        faults.ask(all(terms) and len(set(terms)) == len(terms), f"{where}: categories {terms}")
        media(faults, entry)


def by_icalendar(faults, asked, text):
    calendar = icalendar.Calendar.from_ical(text)
    events = calendar.walk("VEVENT")
    faults.ask(not calendar.errors and not any(event.errors for event in events), "icalendar finds errors")
    faults.ask([str(event["UID"]) for event in events] == asked["ids"], f"icalendar finds {[str(event['UID']) for event in events]}")
    faults.ask(all(event["DTSTART"].dt < event["DTEND"].dt for event in events if "DTEND" in event), "an event ends before it begins")
    told = all(calendar.get(name) for name in ("VERSION", "PRODID", "NAME", "X-WR-CALNAME", "SOURCE", "REFRESH-INTERVAL"))
    faults.ask(told, "the calendar doesn't say what it is")


READERS = {
    "rss": [by_feedparser, by_fastfeedparser, by_sfeed, by_rules_of_rss],
    "atom": [by_feedparser, by_fastfeedparser, by_sfeed, by_rules_of_atom],
    "json": [by_fastfeedparser, by_json_schema],
}


def main():
    asked, wrong = json.load(sys.stdin), []
    todo = [(feed, READERS[feed["kind"]]) for feed in asked["feeds"]]
    todo += [(calendar, [by_icalendar]) for calendar in asked["calendars"]]
    for one, readers in todo:
        faults = Faults(one["url"])
        text = urllib.request.urlopen(one["url"]).read()
        for reader in readers:
            try:
                reader(faults, one, text)
            except Exception as error:  # a reader that gives up has found something wrong
                faults.append(f"{one['url']}: {reader.__name__}: {type(error).__name__}: {error}")
        wrong += faults
    print(json.dumps(wrong))


main()
