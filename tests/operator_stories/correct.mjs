// A sent post has a mistake: its source revises it, and a correction goes to exactly those who got the wrong one.
import { story } from "./harness.mjs";

await story(async ({ enter, outside }) => {
  const id = await outside.publish(outside.post("walk", "강가 산책, 토요일 네 시"));
  await outside.mailsUntil(2);
  // Somebody who comes later has the right one, or none: not a correction.
  if ((await outside.run("subscriber", "import", "late.csv")) === null) throw new Error("nobody comes later");
  await outside.publish(outside.post("walk", "강가 산책, 토요일 다섯 시", { revision: 2 }));
  const operator = await enter("operator");
  const { page } = operator;
  await operator.open("/admin/posts");
  await operator.picture("posts");
  await operator.follow(page.locator(`main a[href="/admin/posts/${id}"]`).first());
  await operator.follow(page.locator("form:has(input[name=correct]) button"));
  operator.expect(/(^|\D)2(\D|$)/.test(await page.locator(`form[action$="/correct"]`).innerText()), "not told to how many it goes");
  await operator.picture("correct");
  await operator.follow(page.locator(`form[action$="/correct"] button`));
  const mails = await outside.mailsUntil(4);
  const to = mails.slice(2).map((mail) => mail.to).sort();
  operator.expect(to.join() === "hana@example.net,kim@example.net", `the correction went to ${to}`);
  operator.expect(mails.slice(2).every((mail) => mail.text.includes("다섯 시")), "the correction doesn't say what is right");
  operator.expect((await outside.feed()).includes("다섯 시"), "the feed has the mistake");
  await operator.open(`/admin/posts/${id}`);
  await operator.picture("post");
});
