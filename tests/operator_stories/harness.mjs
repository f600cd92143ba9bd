// One operator before a browser. A story gets an `operator` who opens pages, follows links, fills in fields and presses buttons as the mode
// says: with a mouse or by keyboard alone, with JavaScript or without. Every page on the way is looked at by axe-core in light and dark, and
// must not be wider than its window; whatever the console, the policy or the network complains of is a fault. Reads {tools, origin, site, outside, token, language, width, dark, scripts,
// keyboard, pictures, links, …} and prints the faults as JSON, one sentence each.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Outside, WAIT_MS_MAX, until } from "./outside.mjs";

const TABS_MAX = 150;
const setting = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${setting.tools}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const wrong = [];

export async function story(walk) {
  // Chromium's sandbox doesn't start for root, as which tests run in containers.
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const outside = new Outside(setting);
  const enter = (who) => Operator.enter(browser, setting.links[who]);
  await walk({ enter, outside, setting, isKorean: setting.language === "ko" }).catch((error) => wrong.push(`${error.stack}`));
  await browser.close();
  console.log(JSON.stringify([...new Set(wrong)]));
}

class Operator {
  // Somebody who comes in by their link, with a browser of their own.
  static async enter(browser, link) {
    const { language, width, dark, scripts } = setting;
    const context = await browser.newContext({
      javaScriptEnabled: scripts, locale: language === "ko" ? "ko-KR" : "en-GB", timezoneId: "Asia/Seoul",
      colorScheme: dark ? "dark" : "light", viewport: { width, height: 900 },
    });
    context.setDefaultTimeout(WAIT_MS_MAX);
    const self = new Operator(await context.newPage());
    await self.listen(context);
    await self.open(link);
    self.expect((await self.page.locator("html").getAttribute("lang")) === language, "another language than asked for");
    await self.follow(self.page.locator("main form button.main"));
    return self;
  }

  constructor(page) {
    this.page = page;
    this.refusals = [];
  }

  tell(text) {
    wrong.push(`${setting.language}, ${setting.width} px: ${this.page.url().replace(setting.origin, "")}: ${text}`);
  }

  expect(holds, told) {
    if (!holds) this.tell(told);
  }

  async listen(context) {
    const { page } = this;
    await context.route((url) => url.origin !== setting.origin, (route) => {
      this.tell(`something elsewhere is asked for: ${route.request().url()}`);
      return route.abort();
    });
    if (setting.scripts) {
      await page.exposeFunction("forbidden", (what) => this.tell(`the policy forbids ${what}`));
      await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => window.forbidden(`${event.violatedDirective} ${event.blockedURI}`));
      });
    }
    // Answers that refuse are told by their status below, with the ones that a story expects left out.
    const isAnswer = (text) => text.startsWith("Failed to load resource:");
    page.on("console", (said) => {
      if (["error", "warning"].includes(said.type()) && !isAnswer(said.text())) this.tell(`console: ${said.text()}`);
    });
    page.on("pageerror", (error) => this.tell(`${error}`));
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      // A page that is left takes what it still asked for with it.
      if (why !== "net::ERR_ABORTED") this.tell(`${request.url()}: ${why}`);
    });
    page.on("response", (response) => {
      if (response.status() < 400) return;
      const at = this.refusals.indexOf(response.status());
      if (at < 0) this.tell(`${response.url()} answers ${response.status()}`);
      else this.refusals.splice(at, 1);
    });
  }

  async open(path) {
    await this.page.goto(new URL(path, setting.origin).href);
    await this.looked();
  }

  // Opens a page again and again until it holds something.
  async openUntil(path, selector) {
    const { page } = this;
    await until(`${selector} at ${path}`, async () => {
      await page.goto(new URL(path, setting.origin).href);
      return (await page.locator(selector).count()) > 0;
    });
    await this.looked();
  }

  // Uses a link or a button that leads on to a page. `refusal` is the status if it is meant to be refused.
  async follow(target, refusal) {
    if (refusal) this.refusals.push(refusal);
    await Promise.all([this.page.waitForEvent("load"), this.use(target)]);
    await this.looked();
  }

  async unfold(details) {
    await this.use(details.locator("> summary"));
    this.expect((await details.getAttribute("open")) !== null, "it doesn't unfold");
  }

  async use(target) {
    if (!setting.keyboard) return target.click();
    await this.reach(target);
    const isBox = await target.evaluate((node) => ["checkbox", "radio"].includes(node.type));
    return this.page.keyboard.press(isBox ? "Space" : "Enter");
  }

  async fill(target, text) {
    if (!setting.keyboard) return target.fill(text);
    await this.reach(target);
    await this.page.keyboard.press("Control+A");
    return this.page.keyboard.insertText(text);
  }

  // Goes on by the tab key until this is in focus, which must be seen.
  async reach(target) {
    for (let tabs = 0; tabs < TABS_MAX; tabs++) {
      const isThere = await target.evaluate((node) => node === document.activeElement);
      if (isThere) {
        const outline = await target.evaluate((node) => getComputedStyle(node).outlineStyle);
        return this.expect(outline !== "none", "what has the focus can't be seen");
      }
      await this.page.keyboard.press("Tab");
    }
    throw new Error(`the tab key doesn't lead to ${target}`);
  }

  // Looks at the page as people with assistive software, dark screens and small telephones do.
  async looked() {
    const { page } = this;
    const [whole, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    this.expect(whole <= shown, `${whole} px wide, so it must be moved sideways`);
    // Where nothing may run, axe can't either; the same pages are looked at in the other mode.
    if (!setting.scripts) return;
    await page.evaluate(axe);
    for (const colorScheme of setting.dark ? ["light", "dark"] : ["dark", "light"]) {
      await page.emulateMedia({ colorScheme });
      // The other scheme changes colours and nothing else.
      const isOther = (colorScheme === "dark") !== setting.dark;
      const options = { resultTypes: ["violations"], iframes: false, ...(isOther ? { runOnly: ["color-contrast"] } : {}) };
      const { violations } = await page.evaluate((options) => window.axe.run(document, options), options);
      for (const { id, impact, nodes } of violations) {
        this.tell(`${colorScheme}: ${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
    }
  }

  // Keeps what is seen now, where pictures are wanted.
  async picture(name) {
    if (!setting.pictures) return;
    const { page } = this;
    await page.evaluate(() => window.scrollTo(0, 0));
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    const clip = { x: 0, y: 0, width: setting.width, height: Math.min(height, 1400) };
    const file = `${setting.pictures}/room-${name}-${setting.language}${setting.dark ? "-dark" : ""}${setting.width < 500 ? "-phone" : ""}.png`;
    await page.screenshot({ path: file, fullPage: true, clip });
  }
}
