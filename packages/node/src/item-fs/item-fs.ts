/** `ItemFs` over an open vault: docs/spec/item-fs.md. */
import { join } from "node:path";
import { compareBytes, equalBytes } from "@tidelock/core/bytes/bytes";
import { limits } from "@tidelock/core/bytes/limits";
import { nfc } from "@tidelock/core/kinds/files/fold";
import { isName, isNameIn, ROOT } from "@tidelock/core/kinds/files/names";
import { slotKey } from "@tidelock/core/kinds/files/spaces";
import type { FileChange, Item, ItemId } from "@tidelock/core/kinds/files/types";
import type { Tx } from "@tidelock/core/log/tx";
import type { Log, Scheduler } from "@tidelock/core/ports";
import { madeNow, submitFiles } from "../vault/files-run.ts";
import type { Session } from "../vault/session.ts";
import { createDrafts, type Draft } from "./drafts.ts";
import { Handles } from "./handles.ts";
import { type Attr, FsError, type ItemFs } from "./types.ts";

export interface ItemFsDeps {
  readonly session: Session;
  readonly scheduler: Scheduler;
  readonly log: Log;
}

/** Also makes changes of what an earlier process left. */
export async function createItemFs(deps: ItemFsDeps): Promise<ItemFs> {
  const { session } = deps;
  const { replica, clock, kinds } = session;
  const { files } = kinds;
  const folderOfDrafts = join(session.folder, "drafts");
  const drafts = createDrafts(session.store, folderOfDrafts);
  const handles = new Handles({ ...deps, folder: folderOfDrafts, drafts });

  function writable(): void {
    if (session.copied || replica.read((tx) => replica.ownStanding(tx)) !== "writer")
      throw new FsError("read-only", "this device may not write to the vault");
  }

  function itemOf(tx: Tx, id: ItemId): Item | undefined {
    const item = files.item(tx, id);
    return item === undefined || item.dead !== undefined ? undefined : item;
  }

  /** What it is to become, where that is an item that no change has made yet. */
  function unmade(id: ItemId): Attr | undefined {
    const draft = drafts.get(id);
    return draft?.becomes.kind === "create" ? attrOfDraft(draft) : undefined;
  }

  function attrOf(item: Item): Attr {
    const { id, kind, parent, name, executable } = item;
    const draft = drafts.get(id);
    const size = draft?.size ?? item.content?.size ?? item.target?.length ?? 0;
    const mtime = draft?.mtime ?? item.mtime / 1000;
    return { id, kind, parent, name, size, mtime, executable };
  }

  function attr(id: ItemId): Attr {
    if (equalBytes(id, ROOT)) return rootAttr;
    const made = unmade(id);
    if (made !== undefined) return made;
    const item = replica.read((tx) => itemOf(tx, id));
    if (item === undefined) throw new FsError("not-found");
    return attrOf(item);
  }

  function folder(id: ItemId): void {
    if (attr(id).kind !== "dir") throw new FsError("not-dir");
  }

  function unmadeIn(parent: ItemId): Attr[] {
    const found: Attr[] = [];
    for (const draft of drafts.all())
      if (draft.becomes.kind === "create" && equalBytes(draft.becomes.parent, parent))
        found.push(attrOfDraft(draft));
    return found;
  }

  /** The item of a name, or of one that is the same to every disk. */
  function child(parent: ItemId, name: string): Attr | undefined {
    const key = slotKey(parent, name);
    const made = unmadeIn(parent).find((one) => compareBytes(slotKey(parent, one.name), key) === 0);
    if (made !== undefined) return made;
    const item = replica.read((tx) => files.child(tx, parent, name));
    return item === undefined ? undefined : attrOf(item);
  }

  /** In one form, and free. */
  function newName(parent: ItemId, wanted: string): string {
    const name = checked(parent, wanted);
    folder(parent);
    if (child(parent, name) !== undefined) throw new FsError("exists");
    return name;
  }

  function change(changes: (tx: Tx) => readonly FileChange[]): void {
    writable();
    submitFiles(session, [], changes);
    session.engine.sync?.dispatch("edit");
  }

  function removeNow(id: ItemId): void {
    const made = madeNow(session);
    change(() => [{ do: "delete", ...made(), id }]);
  }

  function needEmpty(id: ItemId): void {
    const full = replica.read((tx) => files.list(tx, id, undefined, 1).length > 0) || unmadeIn(id).length > 0;
    if (full) throw new FsError("not-empty");
  }

  /** Its bytes and what it is named become those of a file that is there: that one keeps its id and history. */
  async function replaceFile(id: ItemId, target: ItemId): Promise<void> {
    for (const one of [id, target]) await handles.settle(one);
    const made = madeNow(session);
    change((tx) => {
      const [source, there] = [itemOf(tx, id), itemOf(tx, target)];
      if (source?.content === undefined || there === undefined) throw new FsError("not-found");
      const { content, mtime } = source;
      const changes: FileChange[] = [
        { do: "write", ...made(), id: there.id, rev: there.rev, content, mtime },
      ];
      const set = { key: "executable", value: source.executable } as const;
      if (there.executable !== source.executable) changes.push({ do: "meta", ...made(), id: there.id, set });
      return [...changes, { do: "delete", ...made(), id: source.id }];
    });
  }

  function within(id: ItemId, ancestor: ItemId): boolean {
    for (let at = id; !equalBytes(at, ROOT); at = attr(at).parent) if (equalBytes(at, ancestor)) return true;
    return false;
  }

  const fs: ItemFs = {
    lookup(parent, name) {
      folder(parent);
      const found = child(parent, nfc(name));
      if (found === undefined) throw new FsError("not-found");
      return found;
    },
    attr,
    list(parent, cursor, limit) {
      folder(parent);
      const items = replica.read((tx) => files.list(tx, parent, cursor, limit)).map(attrOf);
      const last = items.length < limit ? undefined : items.at(-1);
      const [from, to] = [cursor, last?.name].map((name) =>
        name === undefined ? undefined : slotKey(parent, name),
      );
      const made = unmadeIn(parent).filter(({ name }) => {
        const key = slotKey(parent, name);
        return (
          (from === undefined || compareBytes(key, from) > 0) &&
          (to === undefined || compareBytes(key, to) < 0)
        );
      });
      return { items: [...items, ...made], next: last?.name };
    },
    readlink(id) {
      const target = replica.read((tx) => itemOf(tx, id)?.target);
      if (target === undefined) throw new FsError("not-found");
      return target;
    },

    open(id, wish = {}) {
      if (wish.write === true) writable();
      const { kind } = attr(id);
      if (kind !== "file") throw new FsError(kind === "dir" ? "is-dir" : "not-found");
      return handles.open(
        id,
        replica.read((tx) => itemOf(tx, id)),
        wish,
      );
    },
    create(parent, wanted, executable = false) {
      writable();
      const name = newName(parent, wanted);
      // What it will be known by for ever: the op of the change that makes it.
      const id = madeNow(session)().op as Uint8Array as ItemId;
      const draft = drafts.begin(id, { kind: "create", parent, name, executable }, clock.now());
      return { attr: attrOfDraft(draft), handle: handles.open(id, undefined, { write: true }) };
    },
    read: (handle, offset, length, signal) => handles.read(handle, offset, length, signal),
    write: (handle, offset, bytes) => handles.write(handle, offset, bytes),
    truncate: (handle, size) => handles.truncate(handle, size),
    sync: (handle) => handles.sync(handle),
    close: (handle) => handles.close(handle),

    mkdir(parent, wanted) {
      const name = newName(parent, wanted);
      const said = madeNow(session)();
      change(() => [{ do: "mkdir", ...said, parent, name }]);
      return attr(said.op as Uint8Array as ItemId);
    },
    symlink(parent, wanted, target) {
      const name = newName(parent, wanted);
      if (target.length === 0 || target.length > MOST_TARGET) throw new FsError("name-too-long");
      const said = madeNow(session)();
      change(() => [{ do: "symlink", ...said, parent, name, target }]);
      return attr(said.op as Uint8Array as ItemId);
    },
    async move(id, parent, wanted, { replace = false } = {}) {
      writable();
      const name = checked(parent, wanted);
      folder(parent);
      const from = attr(id);
      if (equalBytes(id, ROOT) || within(parent, id)) throw new FsError("cycle");
      const there = child(parent, name);
      if (there !== undefined && !equalBytes(there.id, id)) {
        if (!replace) throw new FsError("exists");
        if (there.kind === "dir" && from.kind !== "dir") throw new FsError("is-dir");
        if (there.kind !== "dir" && from.kind === "dir") throw new FsError("not-dir");
        if (there.kind === "file" && from.kind === "file") return replaceFile(id, there.id);
        if (there.kind === "dir") needEmpty(there.id);
        removeNow(there.id);
      }
      const draft = drafts.get(id);
      if (draft?.becomes.kind === "create") {
        drafts.change(draft, { ...draft.becomes, parent, name });
        return;
      }
      const made = madeNow(session);
      change((tx) => {
        const item = itemOf(tx, id);
        if (item === undefined) throw new FsError("not-found");
        return [{ do: "move", ...made(), id, place: item.place, parent, name }];
      });
    },
    remove(id) {
      writable();
      const { kind } = attr(id);
      if (equalBytes(id, ROOT)) throw new FsError("not-empty");
      if (kind === "dir") needEmpty(id);
      const isUnmade = unmade(id) !== undefined;
      handles.drop(id);
      if (!isUnmade) removeNow(id);
    },
    setExecutable(id, executable) {
      const draft = drafts.get(id);
      if (draft?.becomes.kind === "create") {
        drafts.change(draft, { ...draft.becomes, executable });
        return;
      }
      if (attr(id).executable === executable) return;
      const made = madeNow(session);
      change(() => [{ do: "meta", ...made(), id, set: { key: "executable", value: executable } }]);
    },

    watch: (listener) => session.engine.onChange(listener),
    settle: () => handles.settleAll(),
    stop: () => handles.stop(),
  };

  await handles.recover();
  return fs;
}

/** Bytes of a link's target: what Linux takes. */
const MOST_TARGET = 4095;

const rootAttr: Attr = {
  id: ROOT,
  kind: "dir",
  parent: ROOT,
  name: "",
  size: 0,
  mtime: 0,
  executable: false,
};

function attrOfDraft({ id, becomes, size, mtime }: Draft): Attr {
  if (becomes.kind !== "create") throw new RangeError("an item that is there");
  const { parent, name, executable } = becomes;
  return { id, kind: "file", parent, name, size, mtime, executable };
}

function checked(parent: ItemId, wanted: string): string {
  const name = nfc(wanted);
  if (new TextEncoder().encode(name).length > limits.name) throw new FsError("name-too-long");
  if (!isName(name) || !isNameIn(parent, name)) throw new FsError("bad-name");
  return name;
}
