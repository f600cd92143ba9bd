// Takes the pictures of docs/images/ with Chromium. Called by make.sh: node make.mjs TOOLS ORIGIN PREVIEWS OUT.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [tools, origin, previews, out] = process.argv.slice(2);
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
const post = home.match(/\/posts\/[a-z2-7]+/)[0];
const pictures = [
  ["digest-ko-light", `file://${previews}/ko.html`, "light", 1200, 1800],
  ["digest-ko-dark-phone", `file://${previews}/ko.html`, "dark", 360, 1600],
  ["digest-en-dark", `file://${previews}/en.html`, "dark", 1200, 1500],
  ["digest-en-light-phone", `file://${previews}/en.html`, "light", 360, 1300],
  ["digest-zh-light", `file://${previews}/zh.html`, "light", 1200, 1500],
  ["digest-zh-dark-phone", `file://${previews}/zh.html`, "dark", 360, 1300],
  ["home-ko-light", `${origin}/?lang=ko`, "light", 1200, 1400],
  ["home-zh-dark-phone", `${origin}/?lang=zh`, "dark", 360, 1300],
  ["post-en-light-phone", `${origin}${post}?lang=en`, "light", 360, 1300],
  ["post-ko-light", `${origin}${post}?lang=ko`, "light", 1200, 2000],
  ["search-ko-light", `${origin}/search?q=${encodeURIComponent("물")}&lang=ko`, "light", 1200, 1400],
  ["events-en-dark", `${origin}/events?lang=en`, "dark", 1200, 1000],
  ["share-zh-dark-phone", `${origin}${post.replace("/posts/", "/share/mastodon/")}?lang=zh`, "dark", 360, 700],
  ["mail-ko-dark", `file://${previews}/mail.html`, "dark", 1200, 1400],
  ["edition-ko-dark", `${origin}${edition}`, "dark", 1200, 1300],
  ["heartbeat-ko-light-phone", `file://${previews}/heartbeat.html`, "light", 360, 900],
  ["correction-ko-dark", `file://${previews}/correction.html`, "dark", 1200, 1000],
  ["subscribe-ko-light", `${origin}/subscribe?lang=ko`, "light", 1200, 1500],
  ["subscribe-zh-dark-phone", `${origin}/subscribe?lang=zh`, "dark", 360, 1500],
  ["manage-ko-light", `${origin}${manage}?lang=ko`, "light", 1200, 2400],
  ["manage-en-dark-phone", `${origin}${manage}?lang=en`, "dark", 360, 2400],
  ["unsubscribe-ko-light-phone", `${origin}${leave}`, "light", 360, 640],
];
for (const [name, url, colorScheme, width, height] of pictures) {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 640 } });
  const page = await context.newPage();
  await page.goto(url, { waitUntil: "networkidle" });
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  const clip = { x: 0, y: 0, width, height: Math.min(whole, height) };
  await page.screenshot({ path: `${out}/${name}.png`, fullPage: true, clip });
  await context.close();
}
await browser.close();
