// A partner's token and keys have leaked: they get new ones, which are shown once, and the old token opens nothing.
import { story } from "./harness.mjs";

await story(async ({ enter, outside, setting }) => {
  const operator = await enter("operator");
  const { page } = operator;
  operator.expect((await outside.asPartner(setting.partner_token)) === 200, "the old token doesn't work before");
  await operator.open("/admin/partners");
  await operator.picture("partners");
  await operator.follow(page.locator(`main a[href="/admin/partners/academy"]`));
  await operator.unfold(page.locator("details", { has: page.locator(`form[action$="/token"]`) }));
  await operator.follow(page.locator(`form[action$="/token"] button`));
  const token = await page.locator("code.secret").first().innerText();
  operator.expect((await outside.asPartner(setting.partner_token)) === 401, "the old token still works");
  operator.expect((await outside.asPartner(token)) === 200, "the new token doesn't work");
  await operator.unfold(page.locator("details", { has: page.locator(`form[action$="/keys"]`) }));
  await operator.use(page.locator("#leaked"));
  await operator.follow(page.locator(`form[action$="/keys"] button`));
  const keys = await page.locator("code.secret").allInnerTexts();
  operator.expect(keys.some((key) => key.startsWith("whsec_")) && keys.every((key) => key !== setting.partner_secret), "no new keys");
  await operator.open("/admin/partners/academy");
  operator.expect((await page.locator("code.secret").count()) === 0, "the keys are shown twice");
});
