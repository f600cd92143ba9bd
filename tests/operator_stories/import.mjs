// A list of subscribers with errors: looked through, told line by line, and taken in as it was shown.
import { story } from "./harness.mjs";

const LIST = `address,name,language,topics,schedule
new1@example.com,정새봄,ko,events,immediate
nobody,,ko,events,immediate
new2@example.com,,ko,sports,immediate
new3@example.com,,ko,events,monthly
new4@example.com,Robin,ko,events,immediate
`;

await story(async ({ enter, outside, isKorean }) => {
  const operator = await enter("operator");
  const { page } = operator;
  await operator.open("/admin/people");
  await operator.follow(page.locator(`a[href="/admin/people/import"]`));
  await page.locator("#list").setInputFiles({ name: "people.csv", mimeType: "text/csv", buffer: Buffer.from(LIST) });
  await operator.fill(page.locator("#basis"), isKorean ? "포럼 신청서에 적어 주신 분들입니다. 신청서는 204호에 있습니다." : "From the paper forms of the forum, kept in room 204.");
  await operator.follow(page.locator(`form[action="/admin/people/import"] button`));
  const path = new URL(page.url()).pathname;
  await operator.openUntil(path, `form[action$="/take"]`);
  const lines = await page.locator("tbody th[scope=row]").allInnerTexts();
  operator.expect(lines.map((line) => line.trim()).join() === "3,4,5", `faults in lines ${lines}`);
  await operator.picture("import");
  operator.expect((await outside.run("subscriber", "show", "new1@example.com")) === null, "looking through changes something");
  await operator.follow(page.locator(`form[action$="/take"] button`));
  await operator.openUntil(path, `#roster:not(:has(form[action$="/take"])):not(:has(progress))`);
  operator.expect((await outside.run("subscriber", "show", "new1@example.com")) !== null, "the command line knows nobody of the list");
  await outside.publish(outside.post("hello", "새로 오신 분들께 인사드립니다"));
  const mails = await outside.mailsUntil(4);
  const fresh = mails.map((mail) => mail.to).filter((to) => to.startsWith("new")).sort();
  operator.expect(fresh.join() === "new1@example.com,new4@example.com", `the mail went to ${fresh}`);
});
