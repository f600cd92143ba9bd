// A message could not be taken in: it is found from the overview, mended and taken in, and its readers get it.
import { story } from "./harness.mjs";

await story(async ({ enter, outside }) => {
  const broken = outside.post("spring", "봄맞이 하천 청소에 함께해 주세요");
  const sound = JSON.stringify(broken, null, 2);
  const taken = await outside.publish({ ...broken, published_at: "어제" });
  const operator = await enter("operator");
  const { page } = operator;
  operator.expect(taken === null, "it was taken in as it was");
  await operator.open("/admin");
  await operator.follow(page.locator(`main a[href="/admin/quarantine"]`));
  await operator.follow(page.locator(`main tbody a`).first());
  await operator.picture("quarantine");
  await operator.fill(page.locator("#text"), sound.slice(0, -3));
  await operator.follow(page.locator(`form[action$="/mend"] button`), 422);
  operator.expect((await page.locator("[role=alert]").count()) === 1, "not told why it is refused still");
  await operator.fill(page.locator("#text"), sound);
  await operator.follow(page.locator(`form[action$="/mend"] button`));
  operator.expect((await page.locator("[role=status]").count()) === 1, "not told that it is taken in");
  const [mail] = await outside.mailsUntil(1);
  operator.expect(mail.text.includes("봄맞이 하천 청소"), "another mail came");
  operator.expect((await outside.feed("events")).includes("봄맞이 하천 청소"), "it isn't in the feed");
});
