/** One look at a remote: what waits is fetched again, then what is new. Rules LOG2, LOG7. */
import type { Failure, Remote } from "../ports.ts";
import type { HaltCode } from "./ingest.ts";
import type { Replica } from "./replica.ts";

/** How long a device with something to send waits for a signature past an unsigned entry (LOG7). */
export const UNSIGNED_WAIT = 60_000;
export const PAGE: { readonly frames: number; readonly bytes: number } = { frames: 1024, bytes: 4 << 20 };

export type Pulled =
  | {
      readonly kind: "ok";
      /** How many entries were new. */
      readonly fresh: number;
      /** The remote has more, and looking again at once would show it. */
      readonly more: boolean;
      /** As `Page` says. */
      readonly unpaid: boolean;
      /** As `Page` says; 0 where it says nothing. */
      readonly used: number;
    }
  | { readonly kind: "halt"; readonly code: HaltCode }
  | Failure;

export async function pull(replica: Replica, remote: Remote): Promise<Pulled> {
  let after = replica.rereadFrom();
  for (;;) {
    const page = await remote.read(after, PAGE);
    if (page.kind !== "ok") return page;
    const result = replica.ingest(after, page.value);
    if (result.kind === "halt") return result;
    const { read } = replica.cursor();
    const more = page.value.head > read;
    // What waits is as it was: on to what stands behind it, which one page may not reach.
    if (result.fresh === 0 && more && after < read) after = read;
    else {
      const { unpaid = false, used = 0 } = page.value;
      return { kind: "ok", fresh: result.fresh, more: more && result.fresh > 0, unpaid, used };
    }
  }
}
