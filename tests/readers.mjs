// Feeds, calendars and lists of feeds before readers in JavaScript: feedsmith and Mozilla's ical.js. Reads {tools, feeds: [{url, kind,
// ids, titles}], calendars: [{url, ids}], lists: [{url, urls}]} and prints what is wrong, one sentence each, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { tools, feeds, calendars, lists } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${tools}/package.json`);
const { parseFeed, parseOpml } = require("feedsmith");
const ical = require("ical.js");
const ICAL = ical.default ?? ical;

const wrong = [];
const fetched = async (url) => (await fetch(url)).text();
const same = (where, what, found, asked) => {
  if (JSON.stringify(found) !== JSON.stringify(asked)) wrong.push(`${where}: other ${what}: ${JSON.stringify(found)}`);
};
// Each format's own names for what all of them tell.
const entries = {
  rss: (feed) => feed.items.map((item) => [item.guid.value, item.title, item.link, item.content.encoded, item.pubDate]),
  atom: (feed) => feed.entries.map((entry) => [entry.id, entry.title.value, entry.links[0].href, entry.content.value, entry.updated]),
  json: (feed) => feed.items.map((item) => [item.id, item.title, item.url, item.content_html, item.date_published]),
};

for (const { url, kind, ids, titles } of feeds) {
  try {
    const { format, feed } = parseFeed(await fetched(url));
    if (format !== kind) wrong.push(`${url}: feedsmith takes it for ${format}`);
    // It leaves out a list in which nothing stands.
    const found = ids.length === 0 && !feed.items && !feed.entries ? [] : entries[kind](feed);
    same(url, "entries", found.map(([id]) => id), ids);
    same(url, "titles", found.map(([, title]) => title), titles);
    if (found.some((entry) => entry.some((part) => !part))) wrong.push(`${url}: an entry lacks link, content or date`);
  } catch (error) {
    wrong.push(`${url}: feedsmith: ${error}`);
  }
}
for (const { url, ids } of calendars) {
  try {
    const events = new ICAL.Component(ICAL.parse(await fetched(url))).getAllSubcomponents("vevent");
    same(url, "events", events.map((event) => new ICAL.Event(event).uid), ids);
  } catch (error) {
    wrong.push(`${url}: ical.js: ${error}`);
  }
}
for (const { url, urls } of lists) {
  const addresses = (outlines) => (outlines ?? []).flatMap((one) => [one.xmlUrl ?? [], addresses(one.outlines)].flat());
  const found = addresses(parseOpml(await fetched(url)).body.outlines);
  for (const one of urls) if (!found.includes(one)) wrong.push(`${url}: ${one} is missing`);
}
console.log(JSON.stringify(wrong));
