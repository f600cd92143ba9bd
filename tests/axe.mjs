// Looks at pages as people with assistive software, dark screens and small telephones do: axe-core in Chromium, in light
// and dark, 1200 and 360 px wide, and on paper. Reads {"tools", "urls"} and prints what is wrong, one sentence each, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { tools, urls } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${tools}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Chromium's sandbox doesn't start for root, as which tests run in containers.
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const wrong = [];
// What the browser complains of, above all that the policy forbids something that stands in a page. A page that is missing is asked for
// on purpose, and pictures from elsewhere are kept away below.
const listen = (page, where) => {
  const isWanted = (text) => text.startsWith("Failed to load resource:");
  page.on("console", (said) => {
    if (said.type() === "error" && !isWanted(said.text())) wrong.push(`${where}: console: ${said.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`${where}: ${error}`));
};
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1200, 360]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    // Pictures of posts lie elsewhere; nothing here may wait for the world.
    const isElsewhere = (url) => url.protocol !== "file:" && url.hostname !== "127.0.0.1";
    await context.route(isElsewhere, (route) => route.abort());
    for (const url of urls) {
      const page = await context.newPage();
      const where = `${url} (${colorScheme}, ${width} px)`;
      listen(page, where);
      await page.goto(url, { waitUntil: "load" });
      const [whole, shown] = await page.evaluate(() => {
        const root = document.documentElement;
        return [root.scrollWidth, root.clientWidth];
      });
      if (whole > shown) wrong.push(`${where}: ${whole} px wide, so it must be moved sideways`);
      const flat = await page.evaluate(() => {
        const isFlat = (image) => image.complete && image.naturalWidth > 0 && Math.min(image.clientWidth, image.clientHeight) < 4;
        return [...document.images].filter(isFlat).map((image) => image.src);
      });
      if (flat.length > 0) wrong.push(`${where}: pictures without room: ${flat.join(" ")}`);
      // By the debugger and not by an element: the pages' policy lets nothing run.
      await page.evaluate(axe);
      // Frames by themselves: that of a mail lets nothing run, and axe would wait for an answer from it.
      const options = { resultTypes: ["violations"], iframes: false };
      const { violations } = await page.evaluate((options) => window.axe.run(document, options), options);
      for (const { id, impact, nodes } of violations) {
        // A mail is shown within a mail program's page, which has landmarks and a heading of its own.
        if (url.startsWith("file:") && impact !== "serious" && impact !== "critical") continue;
        wrong.push(`${where}: ${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
      await page.emulateMedia({ media: "print" });
      const ways = await page.locator("nav:visible").count();
      if (ways > 0) wrong.push(`${where}: ${ways} ways to other pages are printed`);
      await page.close();
    }
    await context.close();
  }
}
// The same pages where nothing may run: they must be there, and say the same.
const still = await browser.newContext({ javaScriptEnabled: false });
await still.route((url) => url.protocol !== "file:" && url.hostname !== "127.0.0.1", (route) => route.abort());
for (const url of urls) {
  const page = await still.newPage();
  listen(page, `${url} (without JavaScript)`);
  await page.goto(url, { waitUntil: "load" });
  if ((await page.locator("body").innerText()).trim() === "") wrong.push(`${url}: empty without JavaScript`);
  await page.close();
}
await browser.close();
console.log(JSON.stringify(wrong));
