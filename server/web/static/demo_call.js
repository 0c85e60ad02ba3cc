// A call from the phone on the demo page: what the clinic says is shown and spoken, what is typed or said goes to it.
const phone = document.querySelector(".phone");
const pane = phone.querySelector(".call");
const t = JSON.parse(pane.dataset.strings);
const [state, words, keys, form, mic, mute, pad, down] = [".state", ".words", ".keys", ".speak", ".mic", ".mute", ".pad", ".down"].map((name) => pane.querySelector(name));
const field = form.querySelector("input");
const KEY = "onethread-demo-phone";
const MUTED = "onethread-demo-muted";
const LOCALES = { de: "de-DE", en: "en-US", sv: "sv-SE" };
const own = LOCALES[document.documentElement.lang] ?? "";
const Recognition = window.SpeechRecognition ?? window.webkitSpeechRecognition;
const pace = Number(new URLSearchParams(location.search).get("pace") ?? 1); // 0: whoever shows the page is in a hurry
const PER_CHARACTER = 16 * pace; // milliseconds in which a silent line is read
const LONGEST = 2500; // milliseconds
const SLACK = 4000; // milliseconds after which a voice that tells nobody of its end has ended

let screen = { version: "", state: "none", speaking: [], lines: [] };
let since = 0; // when the call was taken
let toDial = ""; // once somebody has answered
let voice = null; // what is being spoken: its text, how far it has come, how to stop it
let typed = 0; // when it was last told that somebody is about to say something
let muted = localStorage.getItem(MUTED) === "yes";
let waiting = ""; // what is said once the notice, which nobody cuts off, has been heard
let listening = null;

async function ask(body) {
  const key = localStorage.getItem(KEY);
  const options = body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {};
  const path = `/demo/phone/${key}/call${body ? "" : `?after=${encodeURIComponent(screen.version)}`}`;
  const answer = await fetch(path, { cache: "no-store", ...options });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.status === 204 ? null : answer.json();
}

async function act(body) {
  try {
    draw(await ask(body));
    return true;
  } catch {
    await look();
    return false;
  }
}

async function look() {
  try {
    draw(await ask());
  } catch (error) {
    if (error instanceof TypeError) return; // the clinic cannot be reached: it is asked again
    draw({ ...screen, state: screen.state === "none" ? "none" : "over", speaking: [] });
  }
}

const goesOn = () => !["none", "over"].includes(screen.state);

async function ring(digits = "") {
  if (goesOn()) {
    if (digits) await act({ do: "press", digits });
    return;
  }
  [toDial, since, waiting] = [digits, 0, ""];
  words.replaceChildren();
  document.querySelector("onethread-chat").close?.(); // it may lie over the phone
  pane.hidden = false;
  phone.scrollIntoView({ block: "center" });
  if (!(await act({ do: "ring" }))) return;
  field.focus({ preventScroll: true });
  watch();
}

function draw(now) {
  if (now === null) return;
  screen = now;
  if (since === 0 && screen.state === "talking") since = Date.now();
  const below = words.scrollHeight - words.scrollTop - words.clientHeight < 80;
  const lines = [...screen.lines, ...screen.speaking.map((text) => ({ ours: true, text, speaking: true }))];
  if (waiting && goesOn()) lines.push({ ours: false, text: waiting });
  lines.forEach((line, place) => {
    const looks = JSON.stringify(line);
    const old = words.children[place];
    if (old?.dataset.looks === looks) return;
    const node = document.createElement("p");
    node.className = `${line.ours ? "theirs" : "mine"}${line.cut ? " cut" : ""}${line.speaking ? " spoken" : ""}`;
    node.dataset.looks = looks;
    node.dir = "auto";
    node.textContent = line.cut ? `${line.text} … (${t.cut})` : line.text;
    old ? old.replaceWith(node) : words.append(node);
  });
  while (words.children.length > lines.length) words.lastChild.remove();
  if (below) words.scrollTop = words.scrollHeight;
  const inside = pane.contains(document.activeElement);
  for (const each of [field, form.querySelector(".send"), pad, ...keys.querySelectorAll("button")]) each.disabled = !goesOn();
  if (mic) mic.disabled = !goesOn();
  down.textContent = goesOn() ? t.hang_up : t.back;
  down.classList.toggle("end", goesOn());
  if (inside && !goesOn()) down.focus({ preventScroll: true }); // what had the focus takes no more words
  tell();
  if (!goesOn()) silence();
  else speak();
  if (toDial && screen.lines.some((line) => line.ours)) {
    const digits = toDial;
    toDial = "";
    act({ do: "press", digits });
  }
}

function tell() {
  const seconds = since ? Math.floor((Date.now() - since) / 1000) : 0;
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const said = t.states[screen.state] ?? "";
  const shown = goesOn() && since ? `${said} ${clock}` : said;
  if (state.textContent !== shown) state.textContent = shown;
}

async function speak() {
  const text = screen.speaking.join(" ");
  if (voice !== null || text === "") return;
  const mine = (voice = { text, began: Date.now(), at: 0, stop: () => {} });
  await (muted || !window.speechSynthesis?.getVoices().length ? read(mine) : aloud(mine));
  if (voice !== mine) return;
  voice = null;
  await act({ do: "heard" });
  if (waiting === "" || voice !== null) return;
  const said = waiting;
  waiting = "";
  await act({ do: "say", text: said, language: own });
}

function read(mine) {
  const lasts = Math.min(LONGEST, mine.text.length * PER_CHARACTER);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, lasts);
    mine.far = () => Math.min(1, (Date.now() - mine.began) / lasts);
    mine.stop = () => (clearTimeout(timer), resolve());
  });
}

function aloud(mine) {
  return new Promise((resolve) => {
    const said = new SpeechSynthesisUtterance(mine.text);
    const language = LOCALES[(screen.language || own).slice(0, 2)] ?? own;
    said.lang = language;
    said.voice = speechSynthesis.getVoices().find((each) => each.lang.replace("_", "-").startsWith(language.slice(0, 2))) ?? null;
    said.onboundary = ({ charIndex }) => (mine.at = charIndex);
    const timer = setTimeout(resolve, mine.text.length * 110 + SLACK);
    const done = () => (clearTimeout(timer), resolve());
    said.onend = said.onerror = done;
    mine.far = () => mine.at / mine.text.length;
    mine.stop = () => (speechSynthesis.cancel(), done());
    speechSynthesis.speak(said);
  });
}

function silence() {
  const mine = voice;
  voice = null;
  mine?.stop();
}

/** What the caller says cuts off what is being spoken, where that is allowed. */
async function say(text) {
  if (voice !== null) {
    const upto = Math.round((voice.far?.() ?? 0) * voice.text.length);
    const end = voice.text.indexOf(" ", upto);
    const before = screen.speaking.length;
    const cut = voice;
    await act({ do: "interrupt", after: voice.text.slice(0, end < 0 ? upto : end) });
    if (screen.speaking.length !== before && voice === cut) silence();
    if (voice !== null) {
      waiting = `${waiting} ${text}`.trim();
      draw(screen);
      return true;
    }
  }
  return act({ do: "say", text, language: own });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (text === "") return;
  field.value = "";
  if (!(await say(text))) field.value = text;
});
field.addEventListener("input", () => {
  if (Date.now() - typed < 3000 || !goesOn()) return;
  typed = Date.now();
  ask({ do: "begin", language: own }).catch(() => {}); // it is for the clinic's patience alone
});

pad.addEventListener("click", () => {
  keys.hidden = !keys.hidden;
  pad.setAttribute("aria-expanded", String(!keys.hidden));
  words.scrollTop = words.scrollHeight;
});
keys.addEventListener("click", ({ target }) => {
  const digits = target.closest("button")?.value;
  if (digits) act({ do: "press", digits });
});

function showMute() {
  mute.setAttribute("aria-pressed", String(muted));
}
mute.addEventListener("click", () => {
  muted = !muted;
  localStorage.setItem(MUTED, muted ? "yes" : "no");
  if (muted) window.speechSynthesis?.cancel();
  showMute();
});

if (Recognition) {
  mic.hidden = false;
  mic.addEventListener("click", () => {
    if (listening) return listening.stop();
    listening = new Recognition();
    listening.lang = LOCALES[(screen.language || own).slice(0, 2)] ?? own;
    listening.onresult = (event) => say(event.results[event.results.length - 1][0].transcript.trim());
    listening.onend = listening.onerror = () => {
      listening = null;
      mic.setAttribute("aria-pressed", "false");
    };
    mic.setAttribute("aria-pressed", "true");
    listening.start();
  });
}

async function hangUp() {
  if (goesOn()) {
    silence();
    await act({ do: "hang_up" });
    return;
  }
  pane.hidden = true;
  phone.querySelector(".ring").focus();
}
down.addEventListener("click", hangUp);
pane.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hangUp();
});
phone.querySelector(".ring").addEventListener("click", () => ring());

// The chat's "call us" is a link that a phone would dial, code and all; here, this one does.
document.addEventListener("click", (event) => {
  const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement && node.href.startsWith("tel:"));
  if (!link) return;
  const [number, code = ""] = link.href.slice(4).split(",,");
  if (number.replace(/[^+\d]/g, "") !== phone.dataset.clinic) return;
  event.preventDefault();
  ring(code);
});

async function watch() {
  await look();
  tell();
  if (goesOn()) setTimeout(watch, 300);
}
showMute();
