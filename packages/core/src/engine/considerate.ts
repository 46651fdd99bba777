/**
 * What a remote asks for holds for all calls of this device, whoever makes them: sync, or a reader of content. Rule ENG8.
 */
import type { Clock, Failure, Remote } from "../ports.ts";

export interface Considerate {
  /** The same remote. Before the time that it named, it is not asked, and the answer is that time. */
  readonly remote: Remote;
  /** A person's word counts before a remote's: it is asked again, and what it said until now is void. */
  urge(): void;
}

/** No remote may send us away for longer than this. */
const MOST = 3_600_000;

export function considerate(remote: Remote, clock: Clock): Considerate {
  /** Monotonic. */
  let until = Number.NEGATIVE_INFINITY;
  let urged = 0;

  async function call<T extends { readonly kind: string }>(ask: () => Promise<T>): Promise<T | Failure> {
    const left = until - clock.mono();
    if (left > 0) return { kind: "busy", retryAfter: left };
    const before = urged;
    const answer = await ask();
    if (!isBusy(answer) || !(answer.retryAfter > 0)) return answer;
    const retryAfter = Math.min(MOST, answer.retryAfter);
    if (before === urged) until = Math.max(until, clock.mono() + retryAfter);
    return { kind: "busy", retryAfter };
  }

  const { wake, awake } = remote;
  return {
    remote: {
      caps: remote.caps,
      create: (genesis) => call(() => remote.create(genesis)),
      genesis: () => call(() => remote.genesis()),
      read: (after, want) => call(() => remote.read(after, want)),
      append: (frames, seen) => call(() => remote.append(frames, seen)),
      putBlob: (id, bytes, pace) => call(() => remote.putBlob(id, bytes, pace)),
      getBlob: (id, part) => call(() => remote.getBlob(id, part)),
      listBlobs: (after) => call(() => remote.listBlobs(after)),
      deleteBlobs: (ids, condemnedAt) => call(() => remote.deleteBlobs(ids, condemnedAt)),
      ...(wake === undefined ? {} : { wake: wake.bind(remote) }),
      ...(awake === undefined ? {} : { awake: awake.bind(remote) }),
      close: () => remote.close(),
    },
    urge: () => {
      until = Number.NEGATIVE_INFINITY;
      urged++;
    },
  };
}

function isBusy(answer: { readonly kind: string }): answer is Extract<Failure, { kind: "busy" }> {
  return answer.kind === "busy";
}
