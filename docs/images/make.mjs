// Takes the pictures of docs/images/ with Chromium. Called by make.sh: node make.mjs TOOLS ORIGIN PREVIEWS OUT [themed].
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [tools, origin, previews, out, themed] = process.argv.slice(2);
const { chromium } = createRequire(`${tools}/package.json`)("playwright-core");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

// Name, address, light or dark, width, and at most this height.
const text = readFileSync(`${previews}/mail.txt`, "utf8");
const edition = text.match(/\/editions\/\S+/)[0];
const manage = text.match(/\/manage\/\S+/)[0];
const leave = text.match(/\/unsubscribe\/\S+/)[0];
// What pictures show must be there.
for (const name of ["heartbeat", "correction"]) readFileSync(`${previews}/${name}.html`);
const home = await (await fetch(`${origin}/?lang=ko`)).text();
// The post that has everything is the oldest of the quickstart's.
const post = home.match(/\/posts\/[a-z2-7]+/g).at(-1);
const issues = await (await fetch(`${origin}/editions?lang=ko`)).text();
// The first that went out has most in it.
const issue = issues.match(/\/editions\/[a-z]+\/[0-9TZ.]+/g).at(-1);
const month = new Date(Date.now() + 14 * 86_400_000).toISOString().slice(0, 7);
const themedPictures = [
  ["themed-home-en-light", `${origin}/?lang=en`, "light", 1200, 1400],
  ["themed-home-ko-dark-phone", `${origin}/?lang=ko`, "dark", 390, 1300],
  ["themed-post-zh-light-phone", `${origin}${post}?lang=zh`, "light", 390, 1300],
];
const pictures = themed ? themedPictures : [
  ["digest-ko-light", `file://${previews}/ko.html`, "light", 1200, 1800],
  ["digest-ko-dark-phone", `file://${previews}/ko.html`, "dark", 390, 1600],
  ["digest-en-dark", `file://${previews}/en.html`, "dark", 1200, 1500],
  ["digest-en-light-phone", `file://${previews}/en.html`, "light", 390, 1300],
  ["digest-zh-light", `file://${previews}/zh.html`, "light", 1200, 1500],
  ["digest-zh-dark-phone", `file://${previews}/zh.html`, "dark", 390, 1300],
  ["home-ko-light", `${origin}/?lang=ko`, "light", 1200, 1400],
  ["home-en-dark", `${origin}/?lang=en`, "dark", 1200, 1400],
  ["home-zh-dark-phone", `${origin}/?lang=zh`, "dark", 390, 1500],
  ["topic-zh-light", `${origin}/topics/events?lang=zh`, "light", 1200, 1000],
  ["topic-en-dark-phone", `${origin}/topics/research?lang=en`, "dark", 390, 1100],
  ["issues-ko-light", `${origin}/editions?lang=ko`, "light", 1200, 1000],
  ["issue-ko-light-phone", `${origin}${issue}?lang=ko`, "light", 390, 1500],
  ["issue-zh-dark", `${origin}${issue}?lang=zh`, "dark", 1200, 1400],
  ["feeds-en-light-phone", `${origin}/feeds?lang=en`, "light", 390, 1100],
  ["post-en-light-phone", `${origin}${post}?lang=en`, "light", 390, 1300],
  ["post-ko-light", `${origin}${post}?lang=ko`, "light", 1200, 2400],
  ["post-zh-dark-phone", `${origin}${post}?lang=zh`, "dark", 390, 2400],
  ["search-ko-light", `${origin}/search?q=${encodeURIComponent("물")}&lang=ko`, "light", 1200, 1400],
  ["events-en-dark", `${origin}/events?lang=en&month=${month}`, "dark", 1200, 1000],
  ["share-zh-dark-phone", `${origin}${post.replace("/posts/", "/share/mastodon/")}?lang=zh`, "dark", 390, 700],
  ["mail-ko-dark", `file://${previews}/mail.html`, "dark", 1200, 1400],
  ["edition-ko-dark", `${origin}${edition}`, "dark", 1200, 1300],
  ["heartbeat-ko-light-phone", `file://${previews}/heartbeat.html`, "light", 390, 900],
  ["correction-ko-dark", `file://${previews}/correction.html`, "dark", 1200, 1000],
  ["subscribe-ko-light", `${origin}/subscribe?lang=ko`, "light", 1200, 1500],
  ["subscribe-zh-dark-phone", `${origin}/subscribe?lang=zh`, "dark", 390, 1500],
  ["manage-ko-light", `${origin}${manage}?lang=ko`, "light", 1200, 2400],
  ["manage-en-dark-phone", `${origin}${manage}?lang=en`, "dark", 390, 2400],
  ["unsubscribe-ko-light-phone", `${origin}${leave}`, "light", 390, 640],
];
for (const [name, url, colorScheme, width, height] of pictures) {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 640 } });
  const page = await context.newPage();
  await page.goto(url, { waitUntil: "networkidle" });
  // Pictures are fetched and unpacked when they come near.
  await page.evaluate(async () => {
    for (const image of document.images) {
      image.loading = "eager";
      await image.decode().catch(() => {});
    }
  });
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  const clip = { x: 0, y: 0, width, height: Math.min(whole, height) };
  await page.screenshot({ path: `${out}/${name}.png`, fullPage: true, clip });
  await context.close();
}
await browser.close();
