// "Did she get it?": somebody calls, and one looks up why one person did not get one post.
import { story } from "./harness.mjs";

await story(async ({ enter, outside, setting }) => {
  await outside.publish(outside.post("forum", "겨울 물길 포럼에 초대합니다"));
  const mails = await outside.mailsUntil(1);
  const viewer = await enter("viewer");
  const { page } = viewer;
  const asked = async (typed, address) => {
    await viewer.open("/admin/people");
    await viewer.fill(page.locator("#find"), typed);
    // As one types where scripts run, else by the button.
    if (setting.scripts) {
      await page.locator(`#found a:text("${address}")`).waitFor();
      await viewer.looked();
    } else await viewer.follow(page.locator("form.finding button"));
    if (typed === "이") await viewer.picture("people");
    await viewer.follow(page.locator(`#found a:text("${address}")`));
    await viewer.fill(page.locator("#post"), "forum");
    await viewer.follow(page.locator("section.asking button"));
    return page.locator(".verdict").innerText();
  };
  const yes = await asked("hana", "hana@example.net");
  const no = await asked("이", "lee@example.net");
  await viewer.picture("why");
  viewer.expect(yes !== no && no.includes("events"), `not told why: ${no}`);
  viewer.expect(mails.length === 1 && mails[0].to === "hana@example.net", "the mails say something else");
});
