/**
 * What a person should know or do, one matter a code, with the moment it was first seen. The moment
 * and what was dismissed rest in the home, so that a new process tells the same.
 */
import { decodeUtf8, encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { TidelockError } from "@tidelock/core/errors";
import type { Clock, ReplicaStore } from "@tidelock/core/ports";
import { HOME_SPACE } from "./place.ts";

/** As those who notice it tell it. */
export interface Matter {
  /** An error code, or the code of a standing matter such as `insecure-key-file`. */
  readonly code: string;
  readonly why: string;
  readonly next: string;
  /** How many things it concerns; 1 where it cannot be counted. */
  readonly count?: number;
}

export interface Issue extends Matter {
  /** When it was first seen, RFC 3339. */
  readonly since: string;
  readonly count: number;
  /** Somebody has looked at it: told again when it grows. */
  readonly dismissed: boolean;
}

export interface IssueBook {
  /** All that is the matter now. What has gone is forgotten, and would be new when it comes back. */
  list(matters: readonly Matter[]): readonly Issue[];
  dismiss(code: string): void;
}

interface Note {
  readonly since: number;
  /** At the last look, and at the moment it was dismissed. */
  readonly count: number;
  readonly dismissed?: number;
}

const PREFIX = "issue ";
const FIRST = encodeUtf8(PREFIX);
/** The character after the blank. */
const LAST = encodeUtf8("issue!");

/** A person chose these, or must act: they cannot be told away. */
const standing: ReadonlySet<string> = new Set([
  "insecure-key-file",
  "recovery-sheet",
  "guard-deletion",
  "stalled",
]);

export function createIssueBook(store: ReplicaStore, clock: Clock): IssueBook {
  const keyOf = (code: string): Uint8Array => encodeUtf8(PREFIX + code);
  const put = (code: string, note: Note): void =>
    store.put(HOME_SPACE, keyOf(code), encodeUtf8(JSON.stringify(note)));

  function notes(): Map<string, Note> {
    const found = store.scan(HOME_SPACE, FIRST, LAST);
    return new Map(
      found.flatMap(([key, bytes]) => {
        const note = parseNote(bytes);
        const code = decodeUtf8(key)?.slice(PREFIX.length);
        return note === undefined || code === undefined ? [] : [[code, note] as const];
      }),
    );
  }

  function keep(before: ReadonlyMap<string, Note>, after: ReadonlyMap<string, Note>): void {
    const gone = [...before.keys()].filter((code) => !after.has(code));
    const changed = [...after].filter(([code, note]) => !sameNote(before.get(code), note));
    if (gone.length + changed.length === 0) return;
    try {
      store.transaction(() => {
        for (const code of gone) store.delete(HOME_SPACE, keyOf(code));
        for (const [code, note] of changed) put(code, note);
      });
    } catch {
      // A full or dying disk is an issue itself: telling must not depend on writing.
    }
  }

  return {
    list: (matters) => {
      const known = notes();
      const now = merged(matters);
      const noteByCode = new Map<string, Note>();
      for (const { code, count } of now.values()) {
        const before = known.get(code);
        const dismissed = before?.dismissed !== undefined && count <= before.dismissed;
        noteByCode.set(code, {
          since: before?.since ?? clock.now(),
          count,
          ...(dismissed ? { dismissed: before.dismissed } : {}),
        });
      }
      keep(known, noteByCode);
      return [...now.values()].map((matter) => {
        const { since, dismissed } = noteByCode.get(matter.code) as Note;
        return { ...matter, since: new Date(since).toISOString(), dismissed: dismissed !== undefined };
      });
    },
    dismiss: (code) => {
      const note = notes().get(code);
      if (note === undefined)
        throw new TidelockError("not-found", { why: "no such issue is open", next: "tidelock issues ls" });
      if (standing.has(code))
        throw new TidelockError("usage", {
          why: "this one is told until its cause is gone",
          next: "tidelock issues ls",
        });
      put(code, { ...note, dismissed: note.count });
    },
  };
}

function sameNote(a: Note | undefined, b: Note): boolean {
  return a?.since === b.since && a.count === b.count && a.dismissed === b.dismissed;
}

function merged(matters: readonly Matter[]): Map<string, Matter & { readonly count: number }> {
  const byCode = new Map<string, Matter & { readonly count: number }>();
  for (const matter of matters) {
    const before = byCode.get(matter.code);
    byCode.set(matter.code, { ...(before ?? matter), count: (before?.count ?? 0) + (matter.count ?? 1) });
  }
  return byCode;
}

/** Undefined for what an older or newer program wrote otherwise: the issue is then new. */
function parseNote(bytes: Uint8Array): Note | undefined {
  try {
    const { since, count, dismissed } = JSON.parse(decodeUtf8(bytes) ?? "") as Partial<Note>;
    if (typeof since !== "number" || typeof count !== "number" || Number.isNaN(new Date(since).getTime()))
      return undefined;
    return { since, count, ...(typeof dismissed === "number" ? { dismissed } : {}) };
  } catch {
    return undefined;
  }
}
