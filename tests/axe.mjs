// Looks at pages as people with assistive software, dark screens and small telephones do: axe-core in Chromium, in light
// and dark, 1200 and 360 px wide. Reads {"tools", "urls"} and prints what is wrong, one sentence each, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { tools, urls } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${tools}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Chromium's sandbox doesn't start for root, as which tests run in containers.
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const wrong = [];
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1200, 360]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    // Pictures of posts lie elsewhere; nothing here may wait for the world.
    const isElsewhere = (url) => url.protocol !== "file:" && url.hostname !== "127.0.0.1";
    await context.route(isElsewhere, (route) => route.abort());
    for (const url of urls) {
      const page = await context.newPage();
      await page.goto(url, { waitUntil: "load" });
      const where = `${url} (${colorScheme}, ${width} px)`;
      const [whole, shown] = await page.evaluate(() => {
        const root = document.documentElement;
        return [root.scrollWidth, root.clientWidth];
      });
      if (whole > shown) wrong.push(`${where}: ${whole} px wide, so it must be moved sideways`);
      // By the debugger and not by an element: the pages' policy lets nothing run.
      await page.evaluate(axe);
      // Frames by themselves: that of a mail lets nothing run, and axe would wait for an answer from it.
      const options = { resultTypes: ["violations"], iframes: false };
      const { violations } = await page.evaluate((options) => window.axe.run(document, options), options);
      for (const { id, impact, nodes } of violations) {
        if (impact !== "serious" && impact !== "critical") continue;
        wrong.push(`${where}: ${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify(wrong));
