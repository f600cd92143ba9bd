// The relay is down: the overview says what waits, where and why; once it is back, the mails go and all is well.
import { story } from "./harness.mjs";

await story(async ({ enter, outside }) => {
  const operator = await enter("viewer");
  const { page } = operator;
  await operator.open("/admin");
  operator.expect((await page.locator("main .well").count()) === 2, "not told that all is well");
  await operator.picture("well");
  await outside.relay("down");
  await outside.publish(outside.post("storm", "태풍으로 오늘 행사를 미룹니다"));
  await operator.openUntil("/admin", "main table:has(caption) tbody tr td:last-child:not(:empty)");
  operator.expect((await page.locator("main .troubled").count()) === 1, "the first look doesn't tell of it");
  operator.expect((await page.locator("main .well").count()) === 0, "told that all is well");
  await operator.picture("overview");
  operator.expect((await outside.mails()).length === 0, "a mail came through a relay that is down");
  await outside.relay("up");
  const mails = await outside.mailsUntil(2);
  operator.expect(mails.every((mail) => mail.text.includes("태풍")), "other mails came");
  await operator.openUntil("/admin", "#waiting + p.well");
  operator.expect((await page.locator("main .troubled").count()) === 0, "told of trouble that is over");
});
