/** A world for tests: a clock that is turned by hand, chance that is chosen, and sockets whose other end is the test. */

export class World {
  time = Date.parse('2026-11-22T10:00:00Z');
  chance = 0.5;
  sockets = [];
  plans = [];

  now = () => this.time;
  random = () => this.chance;
  after = (ms, then) => {
    const plan = { at: this.time + ms, then };
    this.plans.push(plan);
    return () => this.plans.splice(this.plans.indexOf(plan) >>> 0, 1);
  };

  /** Let `ms` pass; what is planned happens when it is due. */
  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = this.plans.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.plans.splice(this.plans.indexOf(due), 1);
      this.time = Math.max(this.time, due.at);
      due.then();
      await settled();
    }
    this.time = end;
    await settled();
  }

  get WebSocket() {
    const { sockets } = this;
    return class {
      readyState = 0;
      sent = [];
      closed = false;

      constructor(url, protocol) {
        Object.assign(this, { url, protocol });
        sockets.push(this);
      }

      send(data) {
        this.sent.push(JSON.parse(data));
      }

      close() {
        this.closed = true;
        this.readyState = 3;
      }
    };
  }

  /** The socket in use. */
  get socket() {
    return this.sockets.at(-1);
  }

  /** The server lets us in. */
  letIn() {
    this.socket.readyState = 1;
    this.socket.onopen();
  }

  /** The server says something. */
  say(...frames) {
    for (const frame of frames) this.socket.onmessage({ data: JSON.stringify(frame) });
  }

  /** The server, or the network, ends it. */
  hangUp(code = 1006, reason = '') {
    const { socket } = this;
    socket.readyState = 3;
    socket.onclose({ code, reason });
  }
}

/** Let promises that are ready have their turn. */
export const settled = () => new Promise((done) => setImmediate(done));

export const welcome = (more) => ({
  t: 'welcome', v: 1, thread: 't1', seq: 0, epoch: 'e1', heartbeat: 25, limits: { text: 4096, frame: 65536 }, languages: ['en'], ...more,
});
export const posted = (seq, more) => ({
  t: 'event', thread: 't1', seq, at: '2026-11-22T10:00:00.000Z', kind: 'posted', who: { role: 'assistant', name: 'River' }, text: `message ${seq}`, ...more,
});
export const live = (seq) => ({ t: 'live', thread: 't1', seq });
