// Pulling the plug, and the ledger beside it. The ledger has a visitor of its own, who writes every two seconds as the
// chat does: a key before the first try, the same key until it is acknowledged. Keys are compared with the log's.
const drawer = document.querySelector(".plug");
const t = JSON.parse(drawer.dataset.strings);
const [kill, cut, double, traffic, said, note] = [".kill", ".cut", ".double", ".traffic", ".said-of-it", ".trouble"].map((name) => drawer.querySelector(name));
const EVERY = 2200; // milliseconds: thirty in a minute are allowed
const MOST = 500; // posts
const LOOK = 1500; // milliseconds
const BACK = 700; // milliseconds until the line is tried again, and as many more by chance
const PHONE = "onethread-demo-phone";

const posts = []; // {key, text, acknowledged}
let visit; // what the visitor was let in with
let socket;
let seen = 0; // newest number of the log
let flying = "";
let running = 0;

const post = (path, body) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

async function enter() {
  const answer = await post("/api/visits", { site: "demo", language: document.documentElement.lang, ...(visit ? { visitor: visit.visitor } : {}) });
  if (!answer.ok) throw new Error(String(answer.status));
  visit = await answer.json();
}

async function connect() {
  if (socket) return;
  socket = "opening";
  try {
    await enter(); // a pass each time: it is never too old
  } catch {
    return again();
  }
  const line = (socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws/visitor`, "onethread.v1"));
  line.onopen = () => line.send(JSON.stringify({ t: "hello", v: 1, pass: visit.pass, ...(seen ? { after: seen } : {}) }));
  line.onmessage = ({ data }) => line === socket && heard(JSON.parse(data));
  line.onclose = () => line === socket && again();
}

function again() {
  [socket, flying] = [null, ""];
  if (running || waiting()) setTimeout(connect, BACK + Math.random() * BACK);
}

const waiting = () => posts.find(({ acknowledged }) => !acknowledged);

function heard(frame) {
  if (frame.t === "event") seen = Math.max(seen, frame.seq);
  const mine = frame.key ? posts.find(({ key }) => key === frame.key) : undefined;
  if (frame.t === "event" && mine) {
    mine.acknowledged = true;
    flying = "";
  }
  if (frame.t === "later" || frame.t === "refused") return setTimeout(() => ((flying = ""), next()), frame.retry_ms ?? EVERY);
  if (frame.t === "live" || (frame.t === "event" && mine)) next();
}

function next() {
  const one = waiting();
  if (!one || flying || socket?.readyState !== WebSocket.OPEN) return;
  flying = one.key;
  socket.send(JSON.stringify({ t: "post", key: one.key, text: one.text, consent: visit.clinic.consent.version }));
}

function write() {
  if (posts.length >= MOST) return stop();
  posts.push({ key: crypto.randomUUID(), text: `${t.text} (${posts.length + 1})`, acknowledged: false });
  connect();
  next();
}

function stop() {
  clearInterval(running);
  running = 0;
  traffic.setAttribute("aria-pressed", "false");
}

traffic.addEventListener("click", () => {
  if (running) return stop();
  traffic.setAttribute("aria-pressed", "true");
  running = setInterval(write, EVERY);
  write();
});

// the ledger

function fill(row, counts) {
  const node = drawer.querySelector(`tr[data-row="${row}"]`);
  for (const name of ["made", "acknowledged", "logged", "lost", "doubled"]) {
    const cell = node.querySelector(`[data-count="${name}"]`);
    const text = counts ? String(counts[name]) : "–";
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.toggle("bad", Boolean(counts) && ["lost", "doubled"].includes(name) && counts[name] > 0);
  }
}

async function look() {
  if (drawer.open && document.visibilityState === "visible") {
    try {
      const keys = posts.map(({ key }) => key);
      const acknowledged = posts.filter((each) => each.acknowledged).map(({ key }) => key);
      const answer = await post("/demo/ledger", { thread: visit && keys.length ? visit.thread : "", keys, acknowledged, phone: localStorage.getItem(PHONE) ?? "" });
      const found = answer.ok ? await answer.json() : null;
      if (found) {
        fill("web", found.web);
        fill("whatsapp", found.whatsapp);
      }
      note.hidden = answer.ok;
    } catch {
      note.hidden = false;
    }
  }
  setTimeout(look, LOOK);
}

// the plug

function show({ can_kill: canKill, doubles }) {
  kill.hidden = !canKill;
  double.setAttribute("aria-pressed", String(doubles));
}

async function pull(body, text) {
  said.textContent = text;
  try {
    const answer = await post("/demo/plug", body);
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  } catch {
    if (body.do !== "kill") said.textContent = t.failed; // of one that is killed no answer need come
  }
  if (body.do === "kill") double.setAttribute("aria-pressed", "false"); // whoever comes after it sends once
}

kill.addEventListener("click", () => pull({ do: "kill" }, t.killed));
cut.addEventListener("click", () => pull({ do: "cut" }, t.cut));
double.addEventListener("click", () => {
  const on = double.getAttribute("aria-pressed") !== "true";
  pull({ do: "double", on }, on ? t.doubled : t.single);
});

drawer.addEventListener("toggle", async () => {
  if (!drawer.open) return;
  try {
    show(await (await fetch("/demo/plug", { cache: "no-store" })).json());
  } catch {
    note.hidden = false;
  }
  drawer.querySelector(".ledger").scrollIntoView({ block: "nearest" });
});
look();
