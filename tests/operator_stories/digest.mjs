// A wrong digest is stopped before it leaves: looked at, held, cancelled, let go; the next one is right.
import { story } from "./harness.mjs";

await story(async ({ enter, outside, isKorean }) => {
  await outside.publish(outside.post("wrong", "시민 강좌: 13월 40일에 만나요"));
  const operator = await enter("operator");
  const { page } = operator;
  const digest = "/admin/digests/weekly";
  await operator.open("/admin/digests");
  await operator.picture("digests");
  await operator.follow(page.locator(`main a[href="${digest}"]`).first());
  await operator.follow(page.locator(`form[action="${digest}/preview"] button`));
  operator.expect((await page.locator("main").innerText()).includes("13월 40일"), "the issue isn't shown");
  operator.expect((await page.frameLocator("iframe.letter").locator("body").innerText()).includes("13월 40일"), "the letter isn't shown");
  await operator.picture("preview");
  await operator.open(digest);
  await operator.fill(page.locator("#hold-reason"), isKorean ? "날짜가 잘못되었습니다" : "The date is wrong");
  await operator.follow(page.locator(`form[action="${digest}/hold"] button`));
  await operator.unfold(page.locator("details", { has: page.locator(`form[action="${digest}/now"]`) }));
  await operator.follow(page.locator(`form[action="${digest}/now"] button`));
  await operator.openUntil(digest, "input[name=edition]");
  await operator.unfold(page.locator("details", { has: page.locator(`form[action="${digest}/cancel"]`) }));
  await operator.picture("held");
  await operator.follow(page.locator(`form[action="${digest}/cancel"] button`));
  await operator.follow(page.locator(`form[action="${digest}/let-go"] button`));
  operator.expect((await outside.mails()).length === 0, "something left all the same");

  await outside.publish(outside.post("right", "시민 강좌: 12월 19일에 만나요"));
  await operator.unfold(page.locator("details", { has: page.locator(`form[action="${digest}/now"]`) }));
  await operator.follow(page.locator(`form[action="${digest}/now"] button`));
  const mails = await outside.mailsUntil(1);
  const isRight = mails.length === 1 && mails[0].text.includes("12월 19일") && !mails[0].text.includes("13월 40일");
  operator.expect(isRight, `the wrong issue came: ${JSON.stringify(mails)}`);
});
