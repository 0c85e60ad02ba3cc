/**
 * What this client has of one thread: a window of its log without a hole.
 *
 * Sequence numbers have no gaps, so the number alone tells what to do with a frame: the next one is shown,
 * a known one is dropped, and a jump means that something was lost and has to be asked for again.
 *
 * `first` is the lowest number of the window (below it there may be older messages); everything from there up to `last` has
 * been seen; both are undefined while the window is empty. `epoch` is the life of the store these numbers belong to. `asked`
 * is the `last` with which a hole was last asked for, so that a hole nobody can fill does not become a storm.
 */
export const emptyLog = () => ({
  /**
   * Where a frame of the log (`event`, `skip` or `live`) stands; a new one moves the window on.
   * @returns {boolean | undefined} whether it is new; undefined if something is missing before it
   */
  take({ t, seq, after, to: upto }) {
    const event = t === 'event';
    const to = t === 'skip' ? upto : seq; // an event may have a `to` of its own: to whom it was assigned
    if (this.last === undefined) this.first = event ? to : to + 1;
    else if (to <= this.last) return false;
    else if (t === 'live' ? this.asked !== this.last : (event ? to - 1 : after) > this.last) return undefined;
    this.last = to;
    return true;
  },

  /** Start again from nothing: the numbers we have are not the server's. */
  clear(epoch) {
    this.first = this.last = this.asked = undefined;
    this.epoch = epoch;
  },
});
