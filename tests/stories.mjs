// What people do on the pages, in Chromium, without JavaScript and with it: read a post, change the language, print it, search,
// subscribe, leave. Reads {tools, origin, token, post: {id, title, english, word}, octets_max} and prints what is wrong, one
// sentence each, as JSON. Every step is one that a person takes: by links, fields and buttons.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { tools, origin, token, post, octets_max } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${tools}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const WAIT_MS_MAX = 20_000;

const wrong = [];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

// One person with a browser of their own.
async function visitor(scripts) {
  const context = await browser.newContext({ javaScriptEnabled: scripts, locale: "ko-KR", viewport: { width: 1100, height: 900 } });
  context.setDefaultTimeout(WAIT_MS_MAX);
  // Pictures of posts lie elsewhere. Nothing else may be asked for elsewhere: no script, style or beacon of anybody's.
  await context.route((url) => url.origin !== origin, (route) => {
    if (route.request().resourceType() !== "image") tell(`${route.request().resourceType()} of ${route.request().url()}`);
    return route.abort();
  });
  const tell = (text) => wrong.push(`${scripts ? "with" : "without"} JavaScript: ${text}`);
  const page = await context.newPage();
  // What the policy forbids is told on the console whether or not scripts run; where they do, the page hears of it too.
  if (scripts) {
    await page.exposeFunction("forbidden", (what) => tell(`the policy forbids ${what}`));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => window.forbidden(`${event.violatedDirective} ${event.blockedURI}`));
    });
  }
  page.on("console", (said) => {
    const isOurAbort = said.text().includes("net::ERR_FAILED");
    if (["error", "warning"].includes(said.type()) && !isOurAbort) tell(`${page.url()}: console: ${said.text()}`);
  });
  page.on("pageerror", (error) => tell(`${page.url()}: ${error}`));
  return { context, page, tell, scripts };
}

// Looks at the page as people with assistive software do. The debugger runs it: the page's own policy lets nothing run.
async function looked({ page, tell, scripts }) {
  if (!scripts) return;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], iframes: false }));
  for (const { id, impact, nodes } of violations) tell(`${page.url()}: axe: ${id} (${impact}): ${nodes[0].html.slice(0, 160)}`);
}

async function until(what, check) {
  const began = Date.now();
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() - began > WAIT_MS_MAX) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const expect = ({ tell, page }, holds, told) => holds || tell(`${page.url()}: ${told}`);

// The octets that came over the wire of what is ours, headers included, pictures not.
async function weighed({ context, page }) {
  const wire = await context.newCDPSession(page);
  await wire.send("Network.enable");
  const kinds = new Map();
  let octets = 0;
  wire.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
  wire.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (kinds.get(requestId) !== "Image") octets += encodedDataLength;
  });
  return () => octets;
}

const stories = {
  async "reads a post"(self) {
    const { page } = self;
    await page.goto(`${origin}/`);
    await looked(self);
    await page.getByRole("link", { name: post.title }).first().click();
    await page.waitForURL(`**/posts/${post.id}`);
    expect(self, (await page.locator("article h1").innerText()) === post.title, "another title");
    expect(self, (await page.locator("article").innerText()).includes(post.word), "its text is missing");
    expect(self, (await page.locator("table.files tbody tr").count()) === 2, "its files are missing");
    await looked(self);
  },

  async "finds a post page light"(self) {
    const { page } = self;
    const octets = await weighed(self);
    // By a link from elsewhere, so that nothing is kept from a page before.
    await page.goto(`${origin}/posts/${post.id}`, { waitUntil: "networkidle" });
    expect(self, octets() > 2_000, `nothing was weighed: ${octets()}`);
    expect(self, octets() < octets_max, `${octets()} octets, of which ${octets_max} are allowed`);
  },

  async "changes the language"(self) {
    const { page } = self;
    await page.goto(`${origin}/posts/${post.id}`);
    expect(self, (await page.locator("html").getAttribute("lang")) === "ko", "the page isn't in the browser's language");
    for (const [name, tag] of [["中文", "zh"], ["English", "en"], ["한국어", "ko"]]) {
      await page.locator("header.site").getByRole("link", { name }).click();
      await page.waitForURL(`**lang=${tag}`);
      expect(self, (await page.locator("html").getAttribute("lang")) === tag, `${name} doesn't lead to ${tag}`);
      expect(self, (await page.locator("article").getAttribute("lang")) === "ko", "the post's own language changes");
      await looked(self);
    }
    await page.locator("article").getByRole("link", { name: "English" }).click();
    await page.waitForURL(`**/posts/${post.english}**`);
    expect(self, (await page.locator("article").getAttribute("lang")) === "en", "the variant isn't in English");
  },

  async "prints a post"(self) {
    const { page } = self;
    await page.goto(`${origin}/posts/${post.id}`);
    await page.emulateMedia({ media: "print" });
    for (const [selector, isThere] of [["article h1", true], ["article .content", true], ["header.site nav", false], ["section.share", false]]) {
      const shown = await page.locator(selector).first().isVisible();
      expect(self, shown === isThere, `${selector} is ${shown ? "" : "not "}printed`);
    }
    const paper = await page.pdf({ format: "A4" });
    const pages = paper.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length;
    expect(self, paper.subarray(0, 5).toString() === "%PDF-" && pages >= 1 && pages <= 2, `${pages} pages of paper`);
  },

  async "searches"(self) {
    const { page } = self;
    await page.goto(`${origin}/`);
    await page.locator("header.site a[href*='/search']").click();
    await page.getByRole("searchbox").fill(post.word);
    await page.getByRole("searchbox").press("Enter");
    await page.waitForURL("**/search?q=*");
    await looked(self);
    await page.locator(`ul.posts a[href*='/posts/${post.id}']`).click();
    expect(self, (await page.locator("article h1").innerText()) === post.title, "another post was found");
    await page.goto(`${origin}/search?q=${encodeURIComponent("없는낱말")}`);
    expect(self, (await page.locator("ul.posts").count()) === 0, "a word that no post has finds one");
  },

  async "subscribes, gets a mail, and leaves"(self) {
    const { page, scripts } = self;
    const address = scripts ? "with@example.net" : "without@example.net";
    await page.goto(`${origin}/`);
    await page.locator("header.site a.by-mail").click();
    await looked(self);
    // The form is for people, who don't fill it in at once; whoever is too fast is asked again.
    await until("the form to be taken", async () => {
      if ((await page.locator("#address").count()) === 0) return true;
      await new Promise((resolve) => setTimeout(resolve, 2_100));
      await page.locator("#address").fill(address);
      await page.locator("input[name=topic][value=notices]").check();
      await page.locator("input[name=schedule][value=immediate]").check();
      await page.locator("form.people button").click();
      return false;
    });
    await looked(self);
    await page.goto(await mailed(self, address, "/confirm/"));
    await looked(self);
    await page.locator("form.people button").click();
    expect(self, (await page.locator("main a[href*='/manage/']").count()) === 1, "no way to one's own page");
    await looked(self);

    const title = `물길 소식 ${address}`;
    const body = { id: title, title, language: "ko", topics: ["notices"], published_at: new Date().toISOString(), body: { format: "text", content: title } };
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const taken = await fetch(`${origin}/api/v1/posts`, { method: "POST", headers, body: JSON.stringify(body) });
    expect(self, taken.ok, `the post wasn't taken: ${taken.status}`);
    await page.goto(await mailed(self, address, "/unsubscribe/"));
    await looked(self);
    await page.locator("main form button").click();
    expect(self, (await page.locator("main form button").count()) === 0, "one is asked again");
    await looked(self);
    await page.reload();
    expect(self, (await page.locator("main form").count()) === 0, "the link asks whoever has left");
  },
};

// The link of a kind in a mail to an address, as the page of mails shows it.
async function mailed({ page }, address, kind) {
  return until(`a mail with ${kind} to ${address}`, async () => {
    await page.goto(`${origin}/`);
    const hrefs = await page.locator("ul.mails li", { hasText: address }).locator("a").evaluateAll((links) => links.map((link) => link.href));
    for (const href of hrefs) {
      await page.goto(href);
      const link = (await page.locator("pre.mail").innerText()).match(new RegExp(`${origin}${kind}\\S+`));
      if (link) return link[0];
    }
    return null;
  });
}

for (const scripts of [false, true]) {
  for (const [name, story] of Object.entries(stories)) {
    const self = await visitor(scripts);
    await story(self).catch((error) => self.tell(`${name}: ${error}`));
    await self.context.close();
  }
}
await browser.close();
console.log(JSON.stringify(wrong));
