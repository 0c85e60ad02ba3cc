// The phone on the demo page. It asks for its screen once a second while somebody looks, and draws what has changed.
const phone = document.querySelector(".phone");
const t = JSON.parse(phone.dataset.strings);
const [chat, form, trouble, sheet] = [".chat", ".write", ".trouble", ".sheet"].map((name) => phone.querySelector(name));
const [field, file] = [form.querySelector("textarea"), form.querySelector("input")];
const BASE = "/demo/phone";
const KEY = "onethread-demo-phone";
const NUMBER = "onethread-demo-number";
const EVERY = 1000; // milliseconds
const EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", timeZone: phone.dataset.zone });

let key = localStorage.getItem(KEY);
let version = "";
let unread = false;
let seen = false;
const drawn = new Map(); // id -> what the message looked like, and its element

function h(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [prop, value] of Object.entries(props)) {
    if (value === false || value === undefined || value === "") continue;
    if (prop.startsWith("on")) node.addEventListener(prop.slice(2), value);
    else node.setAttribute(prop, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== "" && child !== null && child !== undefined));
  return node;
}

async function ask(path, options = {}) {
  const answer = await fetch(BASE + path, { cache: "no-store", ...options });
  if (answer.status === 404 && key !== null && path !== "") {
    forget();
  }
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.status === 204 ? null : answer.json();
}

const send = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

function forget() {
  localStorage.removeItem(KEY);
  [key, version] = [null, ""];
  drawn.clear();
}

async function begin() {
  const begun = await send("", { number: localStorage.getItem(NUMBER) ?? "" }); // the one it had, after a restart
  key = begun.key;
  localStorage.setItem(KEY, key);
  localStorage.setItem(NUMBER, begun.number);
}

async function act(done) {
  say("");
  try {
    if (key === null) await begin();
    await send(`/${key}`, done);
  } catch {
    say(t.failed);
    return false;
  }
  await look();
  return true;
}

function say(text) {
  trouble.textContent = text;
  trouble.hidden = text === "";
}

async function look() {
  try {
    if (key === null) await begin();
    const screen = await ask(`/${key}?after=${encodeURIComponent(version)}`);
    if (trouble.textContent === t.offline) say("");
    if (screen !== null) draw(screen);
    if (unread && seen && document.visibilityState === "visible") {
      unread = false;
      await send(`/${key}`, { do: "read" });
    }
  } catch (error) {
    if (error instanceof TypeError) say(t.offline);
  }
}

function draw(screen) {
  [version, unread] = [screen.version, screen.unread];
  phone.querySelector(".who b").textContent = screen.name;
  phone.querySelector(".who small").textContent = screen.typing ? t.typing : `${t.online} · ${t.you}: \u2068${screen.number}\u2069`;
  phone.querySelector(".avatar").textContent = screen.name.slice(0, 1);
  const below = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 80;
  const kept = new Set();
  let before = null;
  for (const message of screen.messages) {
    kept.add(message.id);
    const looks = JSON.stringify(message);
    const old = drawn.get(message.id);
    let node = old?.node;
    if (old?.looks !== looks) {
      const focused = node?.contains(document.activeElement) ? document.activeElement.dataset.id : null;
      node = bubble(message);
      if (old) old.node.replaceWith(node);
      drawn.set(message.id, { looks, node });
      if (focused) node.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
    }
    if (!node.isConnected) before === null ? chat.prepend(node) : before.after(node);
    before = node;
  }
  for (const [id, { node }] of drawn) {
    if (!kept.has(id)) {
      node.remove();
      drawn.delete(id);
    }
  }
  for (const node of chat.querySelectorAll(".empty")) node.remove();
  if (screen.messages.length === 0) chat.replaceChildren(h("p", { class: "empty" }, t.empty));
  if (below) chat.scrollTop = chat.scrollHeight;
}

function bubble(message) {
  const open = (id) => act({ do: "tap", id });
  const box = h(
    "div",
    { class: "bubble", dir: "auto" },
    message.ours ? "" : h("span", { class: "hidden" }, `${t.you}: `),
    message.quoted ? h("blockquote", { dir: "auto" }, message.quoted) : "",
    message.header ? h("b", {}, message.header) : "",
    attachment(message),
    message.revoked ? h("i", {}, t.revoked) : h("span", { class: "said" }, ...linked(message.text)),
    message.footer ? h("small", { class: "footer" }, message.footer) : "",
    h("small", { class: "meta" }, time.format(new Date(message.at)), message.ours ? "" : ticks(message.state)),
  );
  const under = message.buttons.map((button) =>
    button.url
      ? h("a", { class: "tap", href: button.url, rel: "noreferrer", target: "_blank", dir: "auto" }, button.title)
      : h(
          "button",
          { class: "tap", type: "button", disabled: message.answered, "data-id": button.id, onclick: () => open(button.id), dir: "auto" },
          button.title,
        ),
  );
  if (message.rows.length) {
    under.push(h("button", { class: "tap list", type: "button", disabled: message.answered, "data-id": "list", onclick: () => choose(message) }, message.menu));
  }
  const reactions = message.reactions.length ? h("span", { class: "reactions" }, message.reactions.join(" ")) : "";
  const react = message.ours
    ? h("button", { class: "react", type: "button", "aria-label": t.react, title: t.react, "data-id": "react", onclick: () => emoji(message.id) }, "☺")
    : "";
  return h("div", { class: `message ${message.ours ? "ours" : "mine"}` }, h("div", { class: "row" }, box, react), ...under, reactions);
}

function attachment(message) {
  const kind = message.mime.split("/")[0];
  const name = message.name || { image: t.picture, audio: t.voice, location: t.location, document: t.document }[message.kind];
  if (message.file && kind === "image") return h("img", { src: message.file, alt: message.text || t.picture, loading: "lazy" });
  if (message.file && kind === "audio") return h("span", { class: "file" }, "🎤 ", t.voice);
  if (message.file) return h("a", { class: "file", href: message.file, download: name }, "📄 ", name);
  return message.kind === "location" ? h("span", { class: "file" }, "📍 ", t.location) : "";
}

function linked(text) {
  return text
    .split(/(https?:\/\/[^\s<>]+[^\s<>.,;:!?)])/)
    .map((part, place) => (place % 2 ? h("a", { href: part, rel: "noreferrer", target: "_blank" }, part) : part));
}

function ticks(state) {
  const known = state === "accepted" ? "sent" : state;
  const sign = known === "failed" ? "!" : known === "sent" ? "✓" : "✓✓";
  return h("span", { class: `ticks ${known}`, role: "img", "aria-label": t.states[known] }, sign);
}

function open(title, ...content) {
  sheet.querySelector("h3").textContent = title;
  sheet.querySelector("div").replaceChildren(...content);
  sheet.showModal();
}

function choose(message) {
  const rows = message.rows.map((row) =>
    h(
      "button",
      { type: "button", dir: "auto", onclick: () => (sheet.close(), act({ do: "tap", id: row.id })) },
      row.title,
      row.description ? h("small", {}, row.description) : "",
    ),
  );
  open(message.menu, ...rows);
}

function emoji(to) {
  const faces = EMOJI.map((face) => h("button", { type: "button", class: "face", onclick: () => (sheet.close(), act({ do: "react", to, emoji: face })) }, face));
  open(t.react, ...faces);
}

sheet.querySelector(".shut").addEventListener("click", () => sheet.close());
sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (text === "") return;
  field.value = "";
  grow();
  if (!(await act({ do: "say", text }))) {
    field.value = text;
    grow();
  }
  chat.scrollTop = chat.scrollHeight;
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
field.addEventListener("input", grow);

function grow() {
  field.rows = Math.min(4, Math.max(1, field.value.split("\n").length, Math.ceil(field.value.length / 34)));
}

file.addEventListener("change", async () => {
  const [chosen] = file.files;
  file.value = "";
  if (!chosen) return;
  say("");
  if (chosen.size > 1_500_000 || !file.accept.split(",").includes(chosen.type)) return say(t.too_large);
  const path = `/${key}/files?name=${encodeURIComponent(chosen.name)}`;
  try {
    await ask(path, { method: "POST", headers: { "content-type": chosen.type }, body: chosen });
  } catch {
    say(t.failed);
  }
  await look();
});

// A prepared sentence comes with the address: what the widget's "continue on WhatsApp" opens.
const prepared = new URLSearchParams(location.search).get("whatsapp");
phone.hidden = false;
if (prepared) prepare(prepared);

function prepare(text) {
  document.querySelector("onethread-chat").close?.(); // it may lie over the phone
  field.value = text.slice(0, 4096);
  grow();
  phone.scrollIntoView({ block: "center" });
  field.focus({ preventScroll: true });
}

// On this very page there is no need to load it anew.
document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement);
  const address = link ? new URL(link.href) : null;
  const text = address?.origin === location.origin && address.pathname === location.pathname ? address.searchParams.get("whatsapp") : null;
  if (!text) return;
  event.preventDefault();
  prepare(text);
});
new IntersectionObserver(([entry]) => (seen = entry.isIntersecting), { threshold: 0.4 }).observe(phone);

async function watch() {
  if (document.visibilityState === "visible") await look();
  setTimeout(watch, EVERY);
}
watch();
