/**
 * The sync state machine, as a total table: for every state and event what state follows and what
 * is done on entering it. Rule ENG7. The driver is `sync.ts`.
 */
export type SyncState =
  | "stopped"
  /** Caught up; the next poll, hint or edit moves it. */
  | "idle"
  /** A read of the remote is under way. */
  | "reading"
  /** What was read is being applied, a slice at a time. */
  | "applying"
  /** Frames or what they need are on their way to the remote. */
  | "sending"
  /** A call did not succeed; the retry timer runs. */
  | "waiting"
  | "paused";

export type SyncEvent =
  | "start"
  /** A hint or a poll: the remote may hold more. */
  | "due"
  /** A local edit waits to be sent. */
  | "edit"
  /** A person asked: do not wait for a timer. */
  | "now"
  | "read"
  | "read-nothing"
  /** A slice was applied and more is waiting. */
  | "applied-some"
  /** Everything read is applied, or waits for something only time or others can bring. */
  | "applied-all"
  /** As above, and the remote may hold more. */
  | "read-more"
  | "nothing-to-send"
  | "sent"
  /** Placed, and the answer shows all that a read would. */
  | "received"
  | "behind"
  /** Busy, unreachable, denied, full, or unknown: the same again later. */
  | "failed"
  | "pause"
  | "resume"
  | "stop";

/** What the driver does on arriving. `none` only waits. */
export type SyncAction = "none" | "read" | "apply" | "send" | "arm-poll" | "arm-retry" | "hasten";

export interface Transition {
  readonly to: SyncState;
  readonly act: SyncAction;
}

const stay = (to: SyncState): Transition => ({ to, act: "none" });
const go = (to: SyncState, act: SyncAction): Transition => ({ to, act });

const stop = stay("stopped");
const pause = stay("paused");
const read = go("reading", "read");
const apply = go("applying", "apply");
const send = go("sending", "send");
const idle = go("idle", "arm-poll");
const retry = go("waiting", "arm-retry");
/** A hint: what was refused may be taken by now. The wait is cut short, not ended, so that hints cannot drive it. */
const hasten = go("waiting", "hasten");

/** An event that cannot come in a state stays there: a late answer after `pause` or `stop`. */
export const syncTable: Readonly<Record<SyncState, Readonly<Record<SyncEvent, Transition>>>> = {
  stopped: {
    start: read,
    due: stop,
    edit: stop,
    now: stop,
    read: stop,
    "read-nothing": stop,
    "applied-some": stop,
    "applied-all": stop,
    "read-more": stop,
    "nothing-to-send": stop,
    sent: stop,
    received: stop,
    behind: stop,
    failed: stop,
    pause: stop,
    resume: stop,
    stop,
  },
  idle: {
    start: stay("idle"),
    due: read,
    edit: send,
    now: read,
    read: stay("idle"),
    "read-nothing": stay("idle"),
    "applied-some": stay("idle"),
    "applied-all": stay("idle"),
    "read-more": stay("idle"),
    "nothing-to-send": stay("idle"),
    sent: stay("idle"),
    received: stay("idle"),
    behind: stay("idle"),
    failed: stay("idle"),
    pause,
    resume: stay("idle"),
    stop,
  },
  reading: {
    start: stay("reading"),
    due: stay("reading"),
    edit: stay("reading"),
    now: stay("reading"),
    read: apply,
    "read-nothing": apply,
    "applied-some": stay("reading"),
    "applied-all": stay("reading"),
    "read-more": stay("reading"),
    "nothing-to-send": stay("reading"),
    sent: stay("reading"),
    received: stay("reading"),
    behind: stay("reading"),
    failed: retry,
    pause,
    resume: stay("reading"),
    stop,
  },
  applying: {
    start: stay("applying"),
    due: stay("applying"),
    edit: stay("applying"),
    now: stay("applying"),
    read: stay("applying"),
    "read-nothing": stay("applying"),
    "applied-some": apply,
    "applied-all": send,
    "read-more": read,
    "nothing-to-send": stay("applying"),
    sent: stay("applying"),
    received: stay("applying"),
    behind: stay("applying"),
    failed: retry,
    pause,
    resume: stay("applying"),
    stop,
  },
  sending: {
    start: stay("sending"),
    due: stay("sending"),
    edit: stay("sending"),
    now: stay("sending"),
    read: stay("sending"),
    "read-nothing": stay("sending"),
    "applied-some": stay("sending"),
    "applied-all": stay("sending"),
    "read-more": stay("sending"),
    "nothing-to-send": idle,
    sent: read,
    received: apply,
    behind: read,
    failed: retry,
    pause,
    resume: stay("sending"),
    stop,
  },
  waiting: {
    start: stay("waiting"),
    due: hasten,
    edit: stay("waiting"),
    now: read,
    read: stay("waiting"),
    "read-nothing": stay("waiting"),
    "applied-some": stay("waiting"),
    "applied-all": stay("waiting"),
    "read-more": stay("waiting"),
    "nothing-to-send": stay("waiting"),
    sent: stay("waiting"),
    received: stay("waiting"),
    behind: stay("waiting"),
    failed: stay("waiting"),
    pause,
    resume: stay("waiting"),
    stop,
  },
  paused: {
    start: pause,
    due: pause,
    edit: pause,
    now: pause,
    read: pause,
    "read-nothing": pause,
    "applied-some": pause,
    "applied-all": pause,
    "read-more": pause,
    "nothing-to-send": pause,
    sent: pause,
    received: pause,
    behind: pause,
    failed: pause,
    pause,
    resume: read,
    stop,
  },
};
