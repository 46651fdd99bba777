/** What of the drive's content is on this machine: pinned and kept, there since somebody read it, or not at all. */
import { toHex } from "@tidelock/core/bytes/bytes";
import { failureCode } from "@tidelock/core/engine/failure";
import { openContent, streamContent } from "@tidelock/core/engine/fetch-content";
import { TidelockError } from "@tidelock/core/errors";
import { ROOT } from "@tidelock/core/kinds/files/names";
import type { Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Content } from "@tidelock/core/log/content";
import { locate, locateHeld } from "@tidelock/core/log/locations";
import type { Tx } from "@tidelock/core/log/tx";
import { fetchDeps } from "../vault/content.ts";
import type { Session } from "../vault/session.ts";
import { PIN_SPACE } from "./pin-space.ts";

export type FileState = "present" | "partial" | "placeholder" | "sending";

const PAGE = 1000;
const EMPTY = new Uint8Array(0);

export function isPinned(session: Session, tx: Tx, id: ItemId): boolean {
  const seen = new Set<string>();
  for (let at: ItemId | undefined = id; at !== undefined && !seen.has(toHex(at)); ) {
    if (session.store.get(PIN_SPACE, at) !== undefined) return true;
    seen.add(toHex(at));
    if (toHex(at) === toHex(ROOT)) return false;
    at = session.kinds.files.item(tx, at)?.parent;
  }
  return false;
}

/** Never asks the network. */
export async function stateOf(session: Session, content: Content): Promise<FileState> {
  if (content.body.kind === "inline") return "present";
  const named = content.body.addresses;
  const waits = session.replica.read((tx) =>
    named.some((one) => locate(tx, one).length === 0 && locateHeld(tx, one).length > 0),
  );
  if (waits) return "sending";
  const addresses = await addressesHere(session, content);
  if (addresses === undefined) return "placeholder";
  const here = await session.cache.held(addresses);
  return here === addresses.length ? "present" : here === 0 ? "placeholder" : "partial";
}

/** Kept here from now on, and what is missing is fetched. Answers how many files. */
export async function pin(session: Session, id: ItemId): Promise<number> {
  session.store.put(PIN_SPACE, id, EMPTY);
  return fetchPinned(session, [id]);
}

/** It may go when room is needed. */
export function unpin(session: Session, id: ItemId): void {
  session.store.delete(PIN_SPACE, id);
}

/** Gives its room back; of a folder all that lies in it. What is not on the remote yet stays, and is said. */
export async function free(session: Session, id: ItemId): Promise<void> {
  const contents = contentsOf(session, [id]);
  for (const content of contents)
    if ((await stateOf(session, content)) === "sending")
      throw new TidelockError("not-uploaded", { why: "some of it waits here to be sent" });
  unpin(session, id);
  const stays = await keptPieces(session);
  for (const content of contents) {
    const addresses = [...listOf(content), ...((await addressesHere(session, content)) ?? [])];
    await session.cache.drop(addresses.filter((one) => !stays.has(toHex(one))));
  }
}

/** Of all that is pinned: what no full disk may drive out. */
export async function keptPieces(session: Session): Promise<ReadonlySet<string>> {
  const kept = new Set<string>();
  for (const content of contentsOf(session, pins(session)))
    for (const one of [...listOf(content), ...((await addressesHere(session, content)) ?? [])])
      kept.add(toHex(one));
  return kept;
}

/** Content of pinned files that is missing comes, small files first. Throws what the remote answers. */
export async function fetchPinned(session: Session, ids: readonly ItemId[] = pins(session)): Promise<number> {
  const contents = contentsOf(session, ids).sort((a, b) => a.size - b.size);
  for (const content of contents) {
    if ((await stateOf(session, content)) === "present") continue;
    const deps = { ...fetchDeps(session), remote: session.behind };
    const taken = await streamContent(deps, content, () => undefined);
    if (taken.kind === "ok") continue;
    throw taken.kind === "damaged"
      ? new TidelockError("blob-damaged", { why: "a pinned file is in one piece nowhere on the remote" })
      : new TidelockError(failureCode(taken), { why: "the remote does not give a pinned file" });
  }
  return contents.length;
}

function pins(session: Session): ItemId[] {
  return session.store.scan(PIN_SPACE, EMPTY, undefined).map(([id]) => id as ItemId);
}

/** Of live files, each content once. */
function contentsOf(session: Session, ids: readonly ItemId[]): Content[] {
  const { files } = session.kinds;
  const found = new Map<string, Content>();
  session.replica.read((tx) => {
    const items = ids.map((id) => files.item(tx, id)).filter((item) => item !== undefined);
    const folders: ItemId[] = ids.filter((id) => toHex(id) === toHex(ROOT));
    const take = (item: Item): void => {
      if (item.dead !== undefined) return;
      if (item.kind === "dir") folders.push(item.id);
      else if (item.content !== undefined) found.set(toHex(item.content.hash), item.content);
    };
    items.forEach(take);
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop())
      for (let after: string | undefined; ; ) {
        const page: readonly Item[] = files.list(tx, folder, after, PAGE);
        page.forEach(take);
        after = page.at(-1)?.name;
        if (page.length < PAGE) break;
      }
  });
  return [...found.values()];
}

function listOf({ body }: Content): readonly Uint8Array[] {
  return body.kind === "manifest" ? body.addresses : [];
}

/** Of its pieces, where that is known without the network. */
async function addressesHere(session: Session, content: Content): Promise<readonly Uint8Array[] | undefined> {
  const opened = await openContent({ ...fetchDeps(session), remote: undefined }, content);
  return opened.kind === "ok" ? opened.reader.addresses : undefined;
}
