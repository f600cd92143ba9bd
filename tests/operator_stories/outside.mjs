// The world around the control room: mails that arrived, feeds, the interface, the relay and the command line.
export const WAIT_MS_MAX = 30_000;

export async function until(what, check) {
  const began = Date.now();
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() - began > WAIT_MS_MAX) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export class Outside {
  constructor({ outside, site, token }) {
    Object.assign(this, { outside, site, token });
  }

  // Every mail that the relay took: {to, text}, in its order.
  async mails() {
    return (await fetch(`${this.outside}/mails`)).json();
  }

  async mailsUntil(count) {
    return until(`${count} mails`, async () => {
      const mails = await this.mails();
      return mails.length >= count && mails;
    });
  }

  async relay(state) {
    await fetch(`${this.outside}/relay/${state}`, { method: "POST" });
  }

  // What a command of the product prints, or null if it fails.
  async run(...words) {
    const answer = await fetch(`${this.outside}/run`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(words) });
    return answer.ok ? answer.text() : null;
  }

  post(id, title, more = {}) {
    const published_at = new Date().toISOString();
    return { id, title, language: "ko", topics: ["events"], published_at, body: { format: "text", content: `${title}. 자세한 내용은 누리집에서 보실 수 있습니다.` }, ...more };
  }

  // Hands in a post as content systems do. Returns its id, or null if it isn't taken.
  async publish(body) {
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
    const answer = await fetch(`${this.site}/api/v1/posts`, { method: "POST", headers, body: JSON.stringify(body) });
    return answer.ok ? (await answer.json()).post_id : null;
  }

  async feed(topic = "all") {
    return (await fetch(`${this.site}/feeds/${topic}.atom`)).text();
  }

  // How the interface answers whoever has this token.
  async asPartner(token) {
    return (await fetch(`${this.site}/api/v1/changes?after=start`, { headers: { authorization: `Bearer ${token}` } })).status;
  }
}
