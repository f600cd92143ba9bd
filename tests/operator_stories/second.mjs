// A large send waits for a second person: who asked for it can't let it go, a colleague can, and it goes once.
import { story } from "./harness.mjs";

await story(async ({ enter, outside }) => {
  const id = await outside.publish(outside.post("large", "지난해 포럼 자료집을 다시 알립니다", { published_at: "2024-01-05T09:00:00+09:00" }));
  const first = await enter("operator");
  await first.openUntil(`/admin/posts/${id}`, `form[action$="/release"]`);
  await first.follow(first.page.locator(`form[action$="/release"] button`));
  await first.openUntil("/admin/waiting", "main section.card");
  first.expect((await first.page.locator(`form[action$="/approve"]`).count()) === 0, "who asked may let it go alone");
  const second = await enter("second");
  await second.open("/admin");
  await second.follow(second.page.locator(`main a[href="/admin/waiting"]`));
  await second.openUntil("/admin/waiting", `form[action$="/approve"]`);
  await second.picture("second");
  second.expect((await outside.mails()).length === 0, "it went before");
  await second.follow(second.page.locator(`form[action$="/approve"] button`));
  const mails = await outside.mailsUntil(2);
  second.expect(new Set(mails.map((mail) => mail.to)).size === 2 && mails.length === 2, "not each of them once");
});
