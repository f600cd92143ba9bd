// Somebody wishes to be forgotten: asked twice, told what goes and what stays; no mail finds them any more.
import { story } from "./harness.mjs";

await story(async ({ enter, outside }) => {
  await outside.publish(outside.post("before", "첫 소식"));
  await outside.mailsUntil(2);
  const operator = await enter("operator");
  const { page } = operator;
  await operator.open("/admin/people");
  await operator.fill(page.locator("#find"), "hana@example.net");
  await operator.follow(page.locator("form.finding button"));
  await operator.follow(page.locator(`#found a:text("hana@example.net")`));
  const number = new URL(page.url()).pathname.split("/").at(-1);
  await operator.picture("person");
  await operator.follow(page.locator(`a[href$="/erase"]`));
  await operator.follow(page.locator(`form[action$="/erase"] button`));
  await operator.fill(page.locator("#number"), number);
  await operator.picture("erase");
  await operator.follow(page.locator(`form[action$="/erase"] button[name=sure]`));
  operator.expect(!(await page.locator("main").innerText()).includes("hana@"), "the page still knows them");
  operator.expect((await outside.run("subscriber", "show", "hana@example.net")) === null, "the command line still knows them");
  await outside.publish(outside.post("after", "둘째 소식"));
  const mails = await outside.mailsUntil(3);
  operator.expect(mails[2].to === "kim@example.net", "a mail to whoever was erased");
});
