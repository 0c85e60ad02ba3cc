// The story on the demo page. A step is played with the very buttons and fields that a person uses, and the clock is put
// forward; everything else happens by itself.
const story = document.querySelector(".story");
const says = JSON.parse(story.dataset.says);
const [clock, doing] = [".clock time", ".doing"].map((name) => story.querySelector(name));
const phone = document.querySelector(".phone");
const desk = document.querySelector(".desk");
const page = document.documentElement.lang;
const PATIENCE = 30_000; // milliseconds for anything to happen
const PAUSE = 700 * Number(new URLSearchParams(location.search).get("pace") ?? 1); // milliseconds, to see what happens

let offset = 0; // milliseconds that the clinic's clock is ahead of ours
let zone;
let playing = false;

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));
const post = (path, body) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

async function until(look) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = look();
    if (found) return found;
    await sleep(100);
  }
  throw new Error("nothing happened");
}

// the clock

function show() {
  if (!zone) return;
  const format = new Intl.DateTimeFormat(page, { timeZone: zone, weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" });
  const text = format.format(new Date(Date.now() + offset));
  if (clock.textContent !== text) clock.textContent = text;
}

async function told(answer) {
  if (!answer.ok) throw new Error(String(answer.status));
  const said = await answer.json();
  offset = new Date(said.now).getTime() - Date.now();
  zone = said.zone;
  const status = document.querySelector(".now");
  status.textContent = said.status;
  status.className = `now ${said.open ? "open" : "closed"}`;
  show();
}

const forward = async (hour) => told(await post(`/demo/clock?lang=${page}`, { hour: Number(hour) }));

// what a person does

const host = () => document.querySelector("onethread-chat");
const chat = (id) => host().shadowRoot?.getElementById(id);

async function openChat() {
  if (!chat("panel")) (await until(() => chat("launcher"))).click();
  const first = await until(() => chat("agree") ?? chat("write"));
  if (first.id === "agree") first.click();
  return until(() => chat("write"));
}

function type(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

const messages = () => phone.querySelectorAll(".message.ours").length;

async function writeOnPhone(text) {
  phone.scrollIntoView({ block: "center" });
  const [field, before] = [phone.querySelector(".write textarea"), messages()];
  if (text) type(field, text);
  await sleep(PAUSE);
  phone.querySelector(".write").requestSubmit();
  await until(() => messages() > before);
}

const heard = () => phone.querySelectorAll(".words .theirs:not(.spoken)").length;
const inCall = () => !phone.querySelector(".call").hidden;

async function sayInCall(text) {
  const before = heard();
  type(phone.querySelector(".speak input"), text);
  await sleep(PAUSE);
  phone.querySelector(".speak").requestSubmit();
  await until(() => heard() > before && !phone.querySelector(".words .spoken"));
  await sleep(PAUSE);
}

async function openDesk() {
  if (!(await post("/demo/desk", {})).ok) throw new Error("nobody is let in");
  phone.closest(".stage").classList.add("with-desk");
  const signedIn = desk.contentDocument?.location.pathname.startsWith("/console/") && !desk.contentDocument.location.pathname.includes("sign-in");
  if (desk.hidden || !signedIn) {
    desk.hidden = false;
    desk.src = "/console/all";
  }
}

const seen = (name) => desk.contentDocument?.querySelector(name);

/** The line of whoever has this phone: others may stand above it. */
function ours() {
  const tail = phone.querySelector(".who small").textContent.replace(/\D/g, "").slice(-4);
  const rows = desk.contentDocument?.querySelectorAll("a[id^='row-']") ?? [];
  return tail && [...rows].find((row) => [...row.querySelectorAll(".tail")].some(({ textContent }) => textContent.endsWith(tail)));
}

// the steps

const steps = [
  async () => {
    await forward(22);
    const field = await openChat();
    const answers = () => (chat("log").textContent.match(/Phillips/g) ?? []).length;
    const before = answers();
    type(field, says.eczema);
    await sleep(PAUSE);
    field.form.requestSubmit();
    await until(() => answers() > before);
    await sleep(PAUSE);
    (await until(() => chat("continue"))).click();
    (await until(() => chat("over")?.querySelector("a[href*='whatsapp=']"))).click();
    await writeOnPhone("");
  },
  async () => {
    await forward(8);
    await openChat();
    await openDesk();
    chat("over")?.querySelector("button:last-of-type")?.click();
    chat("calling")?.querySelector("button:last-of-type")?.click();
    for (let link = null; !link; ) {
      (await until(() => chat("call"))).click();
      await until(() => chat("calling")?.querySelector("a, .bad"));
      link = chat("calling").querySelector("a[href^='tel:']");
      if (!link) chat("calling").querySelector("button:last-of-type").click(); // the chat is just coming in anew
      else link.click();
    }
    await until(() => inCall() && heard() >= 2 && !phone.querySelector(".words .spoken"));
    ours()?.click(); // the desk reads along
    await sleep(PAUSE);
    await sayInCall(says.how);
    await sayInCall(says.appointment);
    const before = heard();
    phone.querySelector(".keys button[value='1']").click();
    await until(() => heard() >= before + 4 && !phone.querySelector(".words .spoken"));
    await sleep(PAUSE);
    phone.querySelector(".down").click();
    await until(() => !phone.querySelector(".down").classList.contains("end"));
    phone.querySelector(".down").click();
  },
  async () => {
    await forward(9);
    phone.scrollIntoView({ block: "center" });
    await until(() => phone.querySelectorAll(".message.ours:last-child .tap:enabled").length === 2);
  },
  () => writeOnPhone(says.cream),
  async () => {
    phone.scrollIntoView({ block: "center" });
    const asked = [...phone.querySelectorAll(".message.ours")].findLast((each) => each.querySelector("button.tap:enabled"));
    if (!asked) throw new Error("nobody asked");
    const before = messages();
    asked.querySelector("button.tap:enabled").click();
    await until(() => messages() > before);
  },
  async () => {
    host().close?.();
    await openDesk();
    const open = () => seen("#reply") && ours()?.hasAttribute("aria-current");
    const row = await until(ours);
    if (!open()) row.click(); // opened again, it would be drawn anew under what is typed
    await until(open);
    await sleep(PAUSE);
    type(seen("#reply"), says.advice);
    await sleep(PAUSE);
    const before = messages();
    seen("[data-do='send']").click();
    if (PAUSE === 0) (await until(() => seen("[data-do='send-now']"))).click();
    phone.scrollIntoView({ block: "center" });
    await until(() => messages() > before);
  },
];

async function play(step) {
  if (playing) return;
  playing = true;
  const buttons = story.querySelectorAll("ol button");
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  doing.textContent = story.dataset.doing;
  try {
    await steps[step]();
    doing.textContent = story.dataset.done;
    story.querySelectorAll("li")[step].classList.add("done");
  } catch {
    doing.textContent = story.dataset.failed;
  }
  for (const button of buttons) button.removeAttribute("aria-disabled");
  playing = false;
}

story.addEventListener("click", async ({ target }) => {
  const button = target.closest("ol button");
  if (!button || playing) return;
  if (button.classList.contains("play")) return play(Number(button.value));
  try {
    await (button.classList.contains("forward") ? forward(button.value) : openDesk());
    doing.textContent = "";
  } catch {
    doing.textContent = story.dataset.failed;
  }
});

fetch(`/demo/clock?lang=${page}`).then(told, () => {});
setInterval(show, 1000);
